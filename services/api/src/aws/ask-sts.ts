/**
 * Sends a checked proof to STS and reads who signed it. Bounded in time and size; a redirect is an answer like any
 * other that is not 200: refused. What STS does not say clearly is not guessed.
 */
import { request as sendHttp } from 'node:http'
import { request as sendHttps } from 'node:https'
import { GET_CALLER_IDENTITY } from '@lvs-fleet/contract'
import * as z from 'zod'
import type { SignedRequest } from '../identity/aws-proof.ts'
import type { AwsIdentity } from '../identity/match-rules.ts'

const ANSWER_BYTES_MAX = 64 * 1024

export type StsAnswer =
  | { readonly ok: true; readonly identity: AwsIdentity }
  /** `isOurs`: nobody is to blame but the way to STS; the host may ask again. */
  | { readonly ok: false; readonly why: string; readonly isOurs: boolean }

export type AskSts = (request: SignedRequest) => Promise<StsAnswer>

/** `endpoint` instead of https to the host itself: for tests, and for networks whose way to STS is a proxy. */
export function makeAskSts(options: {
  readonly endpoint: URL | undefined
  readonly timeoutMs: number
}): AskSts {
  return async (request) => {
    let answer: { status: number; body: string }
    try {
      const url = options.endpoint ?? new URL(`https://${request.host}/`)
      answer = await post(url, request.headers, options.timeoutMs)
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error)
      return { ok: false, why: `STS does not answer properly: ${why}`, isOurs: true }
    }
    // 5xx is STS's own trouble; everything else that is not 200 is a verdict on the request.
    if (answer.status !== 200)
      return {
        ok: false,
        why: `STS refuses it with status ${answer.status}`,
        isOurs: answer.status >= 500,
      }
    const found = readAnswer(answer.body)
    return found === undefined
      ? { ok: false, why: 'STS answers something that is no caller identity', isOurs: true }
      : { ok: true, identity: { ...found, region: request.region } }
  }
}

function post(
  url: URL,
  headers: Readonly<Record<string, string>>,
  timeoutMs: number,
): Promise<{ status: number; body: string }> {
  const send = url.protocol === 'http:' ? sendHttp : sendHttps
  return new Promise((resolve, reject) => {
    const outgoing = send(
      url,
      {
        method: 'POST',
        path: '/',
        headers: {
          ...headers,
          accept: 'application/json',
          'content-length': Buffer.byteLength(GET_CALLER_IDENTITY),
        },
        // For the whole exchange, not for each silence: a trickle must end too.
        signal: AbortSignal.timeout(timeoutMs),
      },
      (incoming) => {
        let body = ''
        incoming.setEncoding('utf8')
        incoming.on('data', (chunk: string) => {
          body += chunk
          if (body.length > ANSWER_BYTES_MAX)
            outgoing.destroy(new Error(`its answer is longer than ${ANSWER_BYTES_MAX} bytes`))
        })
        incoming.on('end', () => resolve({ status: incoming.statusCode ?? 0, body }))
        incoming.on('error', reject)
      },
    )
    outgoing.on('error', reject)
    outgoing.end(GET_CALLER_IDENTITY)
  })
}

const resultSchema = z.object({
  Account: z.string().regex(/^\d{12}$/),
  Arn: z.string().regex(/^arn:aws[a-z-]*:(sts|iam)::\d{12}:[\x21-\x7e]{1,1600}$/),
})
const jsonSchema = z.object({
  GetCallerIdentityResponse: z.object({ GetCallerIdentityResult: resultSchema }),
})

/** JSON as asked for, or the XML that STS answers where nobody asks. */
function readAnswer(body: string): { account: string; arn: string } | undefined {
  const result = fromJson(body) ?? fromXml(body)
  if (result === undefined || result.Arn.split(':')[4] !== result.Account) return undefined
  return { account: result.Account, arn: result.Arn }
}

function fromJson(body: string): z.infer<typeof resultSchema> | undefined {
  try {
    const parsed = jsonSchema.safeParse(JSON.parse(body))
    return parsed.success
      ? parsed.data.GetCallerIdentityResponse.GetCallerIdentityResult
      : undefined
  } catch {
    return undefined
  }
}

/** No parser: of an answer of this one form two elements are read, each of which must stand once. */
function fromXml(body: string): z.infer<typeof resultSchema> | undefined {
  if (!/^\s*(<\?xml[^>]*>\s*)?<GetCallerIdentityResponse[\s>]/.test(body)) return undefined
  const once = (name: string) => {
    const found = [...body.matchAll(new RegExp(`<${name}>([^<]*)</${name}>`, 'g'))]
    return found.length === 1 ? found[0]?.[1] : undefined
  }
  const parsed = resultSchema.safeParse({ Account: once('Account'), Arn: once('Arn') })
  return parsed.success ? parsed.data : undefined
}
