/** A record's header: Kafka's bytes as UTF-8 text, or null. */
export type HeaderValue = string | null
export type LogHeaders = Readonly<Record<string, HeaderValue>>
