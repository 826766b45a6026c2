/**
 * The hosts that are STS: the only ones that an identity proof is ever sent to. Source: AWS General Reference, "AWS
 * Security Token Service endpoints", November 2026. A region that is missing here is refused, not guessed.
 */
const REGIONS = [
  'af-south-1',
  'ap-east-1',
  'ap-east-2',
  'ap-northeast-1',
  'ap-northeast-2',
  'ap-northeast-3',
  'ap-south-1',
  'ap-south-2',
  'ap-southeast-1',
  'ap-southeast-2',
  'ap-southeast-3',
  'ap-southeast-4',
  'ap-southeast-5',
  'ap-southeast-7',
  'ca-central-1',
  'ca-west-1',
  'eu-central-1',
  'eu-central-2',
  'eu-north-1',
  'eu-south-1',
  'eu-south-2',
  'eu-west-1',
  'eu-west-2',
  'eu-west-3',
  'il-central-1',
  'me-central-1',
  'me-south-1',
  'mx-central-1',
  'sa-east-1',
  'us-east-1',
  'us-east-2',
  'us-gov-east-1',
  'us-gov-west-1',
  'us-west-1',
  'us-west-2',
]
const CHINA = ['cn-north-1', 'cn-northwest-1']

const HOSTS: ReadonlyMap<string, string> = new Map([
  // The global endpoint takes signatures for us-east-1.
  ['sts.amazonaws.com', 'us-east-1'],
  ...REGIONS.map((region) => [`sts.${region}.amazonaws.com`, region] as const),
  ...CHINA.map((region) => [`sts.${region}.amazonaws.com.cn`, region] as const),
])

/** undefined when this is no STS host. */
export function regionOfStsHost(host: string): string | undefined {
  return HOSTS.get(host)
}
