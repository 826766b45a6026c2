/** What the second bundle exports, and how it is loaded: on demand, so that hosts outside AWS pay nothing for it. */
import type { IdentityToSign } from './sign-identity.ts'
import type { AwsProof } from '@lvs-fleet/contract'

export type AwsPart = {
  signAwsIdentity(given: IdentityToSign): Promise<AwsProof>
  /** Of Parameter Store, decrypted; undefined when there is none of this name. */
  readParameter(name: string, region: string): Promise<string | undefined>
  /** Of the instance that this runs on, by its metadata. */
  instanceRegion(): Promise<string>
}

export async function loadAwsPart(): Promise<AwsPart> {
  return import('./aws-bundle.ts')
}
