/** Elements of an array by their type; arrays, lists and bytes inside it are left out. */
import { doubleAt } from '../../../std/arena.ts'
import { markText, ProtoReader } from './proto-reader.ts'
import type { Bounds, Halves } from './trace-item.ts'

const reader = new ProtoReader()

export type ElementLists = { texts: Bounds[]; ints: Halves[]; floats: number[]; bools: boolean[] }

/** Sorts the elements of an ArrayValue that has been checked. */
export function listElements(start: number, end: number): ElementLists {
  const lists: ElementLists = { texts: [], ints: [], floats: [], bools: [] }
  reader.open(start, end)
  while (reader.next(end)) {
    if (reader.field === 1) addElement(reader.lengthEnd(), lists)
    else reader.skip()
  }
  return lists
}

/** An AnyValue holds one value: of several in its bytes the last. */
function addElement(end: number, lists: ElementLists): void {
  let add: (() => void) | undefined
  while (reader.next(end)) {
    switch (reader.field) {
      case 1: {
        const textEnd = reader.lengthEnd()
        const text = { start: reader.at, end: textEnd, marks: markText(reader.at, textEnd) }
        add = () => lists.texts.push(text)
        reader.at = textEnd
        break
      }
      case 2: {
        reader.varint()
        const bool = (reader.low | reader.high) !== 0
        add = () => lists.bools.push(bool)
        break
      }
      case 3: {
        reader.varint()
        const int = { low: reader.low, high: reader.high }
        add = () => lists.ints.push(int)
        break
      }
      case 4: {
        const float = doubleAt(reader.fixed64())
        add = () => lists.floats.push(float)
        break
      }
      default:
        if (reader.field <= 7) add = undefined
        reader.skip()
    }
  }
  add?.()
}
