import { openTestWarehouse } from '../../../test/support/warehouse.ts'
import { warehouseContract } from '../../ports/warehouse.contract.ts'

warehouseContract(openTestWarehouse)
