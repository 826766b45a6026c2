/** Entry of the second bundle, `lvsfleet-agent-aws.mjs`: all that needs the AWS SDK. */
export { instanceRegion } from './instance-region.ts'
export { readParameter } from './read-parameter.ts'
export { signAwsIdentity } from './sign-identity.ts'
