/**
 * Columns of a row of replays, in their order, with what they hold where a message says nothing. A kind of
 * message fills some of them; the text between those is made once.
 */
import { beginRow, constantPiece, type Piece, put, reserve } from '../../../std/arena.ts'

const nil = '"00000000-0000-0000-0000-000000000000"'

const defaults = {
  browser_name: '""',
  browser_version: '""',
  click_alt: '""',
  click_aria_label: '""',
  click_class: '[]',
  click_component_name: '""',
  click_id: '""',
  click_is_dead: '0',
  click_is_rage: '0',
  click_node_id: '0',
  click_role: '""',
  click_tag: '""',
  click_testid: '""',
  click_text: '""',
  click_title: '""',
  debug_id: nil,
  device_brand: '""',
  device_family: '""',
  device_model: '""',
  device_name: '""',
  dist: '""',
  environment: '""',
  error_id: nil,
  error_ids: '[]',
  error_sample_rate: '-1.0',
  event_hash: nil,
  fatal_id: nil,
  info_id: nil,
  ip_address_v4: 'null',
  ip_address_v6: 'null',
  is_archived: '0',
  offset: '0',
  os_name: '""',
  os_version: '""',
  ota_updates_channel: '""',
  ota_updates_runtime_version: '""',
  ota_updates_update_id: '""',
  partition: '0',
  platform: '""',
  project_id: '0',
  release: '""',
  replay_id: nil,
  replay_start_timestamp: 'null',
  replay_type: '""',
  retention_days: '0',
  sdk_name: '""',
  sdk_version: '""',
  segment_id: 'null',
  session_sample_rate: '-1.0',
  'tags.key': '[]',
  'tags.value': '[]',
  tap_message: '""',
  tap_view_class: '""',
  tap_view_id: '""',
  timestamp: '0',
  title: 'null',
  trace_ids: '[]',
  urls: '[]',
  segment_names: '[]',
  user_email: '""',
  user_id: '""',
  user_name: '""',
  user: '""',
  user_geo_city: '""',
  user_geo_country_code: '""',
  user_geo_region: '""',
  user_geo_subdivision: '""',
  viewed_by_id: '0',
  warning_id: nil,
} as const

export type ReplayColumn = keyof typeof defaults

/** Puts the JSON of one column. */
export type PutColumn<From> = (from: From) => void

export class RowTemplate<From> {
  readonly #pieces: { before: Piece; putValue: PutColumn<From> }[] = []
  readonly #end: Piece
  readonly #bytes: number

  /** `columns` are the ones that messages of the kind fill, in any order. */
  constructor(columns: Partial<Record<ReplayColumn, PutColumn<From>>>) {
    let text = '{'
    let bytes = 0
    for (const [name, value] of Object.entries(defaults)) {
      const putValue = Object.entries(columns).find(([column]) => column === name)?.[1]
      text += `${text === '{' ? '' : ','}"${name}":${putValue === undefined ? value : ''}`
      if (putValue === undefined) continue
      this.#pieces.push({ before: constantPiece(text), putValue })
      bytes += text.length
      text = ''
    }
    this.#end = constantPiece(`${text}}`)
    this.#bytes = bytes + text.length + 1
  }

  /** Makes a row of `from`, whose values are not longer than `valuesBytesMax`. */
  put(from: From, valuesBytesMax: number): void {
    beginRow()
    reserve(this.#bytes + valuesBytesMax)
    for (const { before, putValue } of this.#pieces) {
      put(before)
      putValue(from)
    }
    put(this.#end)
  }
}
