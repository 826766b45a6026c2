/**
 * Reads `text/event-stream`: bytes in pieces of any size → one block at a time (HTML Living Standard, 9.2, as far as our
 * API uses it).
 */
export type Block = { readonly id?: string; readonly event?: string; readonly data?: string }

/** A block that grows beyond this is no event of ours. */
const BLOCK_MAX = 1024 * 1024

export async function* readBlocks(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<Block> {
  const decoder = new TextDecoder()
  let text = ''
  for await (const chunk of chunks) {
    text += decoder.decode(chunk, { stream: true })
    const parts = text.split('\n\n')
    text = parts.pop() ?? ''
    if (text.length > BLOCK_MAX) throw new Error('the stream sends no events')
    for (const part of parts) yield parseBlock(part)
  }
}

function parseBlock(text: string): Block {
  const block: { id?: string; event?: string; data?: string } = {}
  for (const line of text.split('\n')) {
    const [, name, value = ''] = /^(id|event|data): ?(.*)$/.exec(line) ?? []
    if (name === 'data') block.data = block.data === undefined ? value : `${block.data}\n${value}`
    else if (name === 'id' || name === 'event') block[name] = value
  }
  return block
}
