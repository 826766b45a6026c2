/** The region of this EC2 instance, from its metadata (IMDSv2), where nobody said it. */
const METADATA = 'http://169.254.169.254'
const TIMEOUT_MS = 2_000

export async function instanceRegion(): Promise<string> {
  try {
    const token = await text(`${METADATA}/latest/api/token`, {
      method: 'PUT',
      headers: { 'x-aws-ec2-metadata-token-ttl-seconds': '60' },
    })
    return await text(`${METADATA}/latest/meta-data/placement/region`, {
      headers: { 'x-aws-ec2-metadata-token': token },
    })
  } catch (cause) {
    throw new Error(
      'no AWS region: give --aws-region or AWS_REGION; this is no EC2 instance with metadata',
      { cause },
    )
  }
}

async function text(url: string, init: RequestInit): Promise<string> {
  const answer = await fetch(url, { ...init, signal: AbortSignal.timeout(TIMEOUT_MS) })
  if (!answer.ok) throw new Error(`${url} answers ${answer.status}`)
  return (await answer.text()).trim()
}
