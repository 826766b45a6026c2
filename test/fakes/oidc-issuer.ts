/**
 * An OIDC issuer on this machine: a real provider package, with keys that the test holds, so that it can forge what the
 * provider would never sign. Programs get tokens by client credentials, as CI systems do.
 */
import type { webcrypto } from 'node:crypto'
import { createServer, type RequestListener } from 'node:http'
import { exportJWK, generateKeyPair, SignJWT, type JWK, type JWTPayload } from 'jose'
import { Provider, type Configuration, type JWKS } from 'oidc-provider'

export type OidcIssuer = {
  readonly issuer: string
  /** Of the key that signs now. */
  readonly key: () => SigningKey
  /** A token of the provider itself. */
  readonly token: (client: string, audience?: string) => Promise<string>
  /** Any token, signed with the provider's key unless another is given. */
  readonly forge: (claims: JWTPayload, options?: ForgeOptions) => Promise<string>
  /** New keys; what was signed with the old ones verifies no more. */
  readonly rotate: () => Promise<void>
  readonly stop: () => Promise<void>
  /** Requests that it got for its keys. */
  readonly keyRequests: () => number
}

export type SigningKey = {
  readonly kid: string
  readonly privateKey: webcrypto.CryptoKey
  readonly jwk: JWK
}
type ForgeOptions = {
  readonly key?: SigningKey
  readonly kid?: string
  readonly header?: Readonly<Record<string, unknown>>
}

export const AUDIENCE = 'https://fleet.example'
const SECRET = 'a-secret-of-the-test-and-of-nobody-else'

/** `groups`: what the provider says of each client. */
export async function startOidcIssuer(
  groups: Readonly<Record<string, readonly string[]>>,
): Promise<OidcIssuer> {
  let handle: RequestListener = (_, response) => response.writeHead(503).end()
  let keyRequests = 0
  const server = createServer((request, response) => {
    if (request.url === '/jwks') keyRequests += 1
    handle(request, response)
  })
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done))
  const address = server.address()
  const port = typeof address === 'object' && address !== null ? address.port : 0
  const issuer = `http://127.0.0.1:${port}`
  let key = await makeKey('first')
  const serve = () => {
    handle = providerOf(issuer, key, groups).callback()
  }
  serve()
  return {
    issuer,
    key: () => key,
    token: async (client, audience = AUDIENCE) => {
      const answer = await fetch(`${issuer}/token`, {
        method: 'POST',
        body: new URLSearchParams({
          grant_type: 'client_credentials',
          client_id: client,
          client_secret: SECRET,
          resource: audience,
        }),
      })
      const told: unknown = await answer.json()
      if (typeof told === 'object' && told !== null && 'access_token' in told)
        return String(told.access_token)
      throw new Error(`no token: ${JSON.stringify(told)}`)
    },
    forge: (claims, options = {}) => {
      const by = options.key ?? key
      return new SignJWT(claims)
        .setProtectedHeader({ alg: 'ES256', kid: options.kid ?? by.kid, ...options.header })
        .sign(by.privateKey)
    },
    rotate: async () => {
      key = await makeKey('second')
      serve()
    },
    stop: async () => {
      server.closeAllConnections()
      await new Promise((done) => server.close(done))
    },
    keyRequests: () => keyRequests,
  }
}

export async function makeKey(kid: string): Promise<SigningKey> {
  const { privateKey } = await generateKeyPair('ES256', { extractable: true })
  return {
    kid,
    privateKey,
    jwk: { ...(await exportJWK(privateKey)), kid, use: 'sig', alg: 'ES256' },
  }
}

function providerOf(
  issuer: string,
  key: SigningKey,
  groups: Readonly<Record<string, readonly string[]>>,
): Provider {
  const configuration: Configuration = {
    jwks: { keys: [key.jwk] } as JWKS,
    clients: Object.keys(groups).map((client_id) => ({
      client_id,
      client_secret: SECRET,
      grant_types: ['client_credentials'],
      redirect_uris: [],
      response_types: [],
      id_token_signed_response_alg: 'ES256',
      token_endpoint_auth_method: 'client_secret_post',
    })),
    extraTokenClaims: (_, token) =>
      token.clientId === undefined ? undefined : { groups: groups[token.clientId] },
    features: {
      devInteractions: { enabled: false },
      clientCredentials: { enabled: true },
      resourceIndicators: {
        enabled: true,
        getResourceServerInfo: (_, audience) => ({
          scope: '',
          audience,
          accessTokenTTL: 600,
          accessTokenFormat: 'jwt',
          jwt: { sign: { alg: 'ES256' } },
        }),
      },
    },
  }
  return new Provider(issuer, configuration)
}
