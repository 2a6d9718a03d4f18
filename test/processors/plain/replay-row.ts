/** A row of replays in which nothing is known: every column is there in every row. */
import type { Row } from '../../../src/datasets/processor/processor.ts'
import { JsonFloat } from '../../../src/std/lossless-json.ts'

const nilUuid = '00000000-0000-0000-0000-000000000000'

const texts = [
  'browser_name',
  'browser_version',
  'click_alt',
  'click_aria_label',
  'click_component_name',
  'click_id',
  'click_role',
  'click_tag',
  'click_testid',
  'click_text',
  'click_title',
  'device_brand',
  'device_family',
  'device_model',
  'device_name',
  'dist',
  'environment',
  'os_name',
  'os_version',
  'ota_updates_channel',
  'ota_updates_runtime_version',
  'ota_updates_update_id',
  'platform',
  'release',
  'replay_type',
  'sdk_name',
  'sdk_version',
  'tap_message',
  'tap_view_class',
  'tap_view_id',
  'user_email',
  'user_id',
  'user_name',
  'user',
  'user_geo_city',
  'user_geo_country_code',
  'user_geo_region',
  'user_geo_subdivision',
]
const uuids = ['debug_id', 'error_id', 'fatal_id', 'info_id', 'warning_id', 'event_hash', 'replay_id']
const numbers = [
  'click_is_dead',
  'click_is_rage',
  'click_node_id',
  'is_archived',
  'offset',
  'partition',
  'project_id',
  'retention_days',
  'timestamp',
  'viewed_by_id',
]
const lists = ['click_class', 'error_ids', 'tags.key', 'tags.value', 'trace_ids', 'urls', 'segment_names']
const nulls = ['ip_address_v4', 'ip_address_v6', 'replay_start_timestamp', 'segment_id', 'title']
const rates = ['error_sample_rate', 'session_sample_rate']

const all = (names: readonly string[], value: Exclude<Row[string], undefined>) =>
  Object.fromEntries(names.map((name) => [name, value]))

export const emptyReplayRow: Row = {
  ...all(texts, ''),
  ...all(uuids, nilUuid),
  ...all(numbers, 0),
  ...all(lists, []),
  ...all(nulls, null),
  ...all(rates, new JsonFloat(-1)),
}
