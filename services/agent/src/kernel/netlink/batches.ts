/**
 * Cuts a run of messages into batches that fit one sendmsg. The kernel handles the messages of a
 * batch in order and goes on after a refused one, so a batch is a round trip, not a transaction.
 */
import { align4 } from './constants.ts'
import { MessageWriter, stampMessage, viewOf } from './message-writer.ts'

/** Below the send buffer (212,992): more in one sendmsg is refused with EMSGSIZE. */
export const BATCH_BYTES_MAX = 60 * 1024
/** No message of ours comes near it; a table of them is smaller than a page. */
export const MESSAGE_BYTES_MAX = 1024

export type Batch = {
  readonly bytes: Buffer
  /** Index of its first message in the whole run, and how many there are. */
  readonly first: number
  readonly count: number
}

/** Asks `write` for one message after the other; at most one batch is held in memory. */
export function* packBatches(
  count: number,
  write: (writer: MessageWriter, index: number) => void,
): Generator<Batch> {
  let first = 0
  let writer = newWriter(count)
  for (let index = 0; index < count; index++) {
    const start = writer.offset
    write(writer, index)
    if (writer.offset <= BATCH_BYTES_MAX) continue
    // This message opens the next batch.
    const next = newWriter(count - index)
    next.raw(writer.bytes.subarray(start, writer.offset))
    yield { bytes: writer.bytes.subarray(0, start), first, count: index - first }
    first = index
    writer = next
  }
  if (count > first) {
    yield { bytes: writer.bytes.subarray(0, writer.offset), first, count: count - first }
  }
}

/** Numbers the messages of a batch; only the last asks for an ack, refused ones are told anyway. */
export function stampBatch(batch: Batch, firstSequence: number): void {
  const view = viewOf(batch.bytes)
  let at = 0
  for (let index = 0; index < batch.count; index++) {
    const sequence = (firstSequence + index) >>> 0
    stampMessage(view, at, { sequence, ack: index === batch.count - 1 })
    at += align4(view.getUint32(at, true))
  }
}

function newWriter(messageCount: number): MessageWriter {
  const capacity = Math.min(BATCH_BYTES_MAX, messageCount * MESSAGE_BYTES_MAX) + MESSAGE_BYTES_MAX
  return new MessageWriter(Buffer.allocUnsafeSlow(capacity))
}
