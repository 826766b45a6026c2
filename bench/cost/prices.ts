/**
 * What AWS asks, by which `docs/cost.md` is computed: list prices on demand in US dollars, first tiers, of one region and one day.
 * Written down by a person from AWS's documentation and others' reports of its price lists; `UNCONFIRMED` from memory. Check them
 * against AWS's own pages before relying on them; other regions are dearer. Free tiers and discounts are left out.
 */
export const PRICES = {
  region: 'us-east-1',
  date: '2026-11-29',
  lambdaRequestsPerMillion: 0.2,
  /** arm64, first tier. */
  lambdaGbSecond: 0.0000133334,
  httpApiRequestsPerMillion: 1,
  /** Aurora Serverless v2, standard storage. */
  acuHour: 0.12,
  auroraGbMonth: 0.1,
  auroraIoPerMillion: 0.2,
  logsGb: 0.5,
  transferGb: 0.09,
  /** An interface endpoint in one availability zone. */
  endpointHour: 0.01,
  t4gMediumHour: 0.0336,
  gp3GbMonth: 0.08,
  publicIpv4Hour: 0.005,
} as const

/** Of which no page was read on that day. */
export const UNCONFIRMED = ['t4g.medium', 'gp3', 'Aurora I/O', 'data to the internet'] as const

/** Where AWS says them. */
export const SOURCES: readonly (readonly [what: string, page: string])[] = [
  ['Lambda, requests and GB-seconds', 'https://aws.amazon.com/lambda/pricing/'],
  ['API Gateway, HTTP APIs', 'https://aws.amazon.com/api-gateway/pricing/'],
  ['Aurora, ACU-hours, storage, I/O', 'https://aws.amazon.com/rds/aurora/pricing/'],
  ['CloudWatch Logs, taking in', 'https://aws.amazon.com/cloudwatch/pricing/'],
  ['EC2, t4g.medium, data to the internet', 'https://aws.amazon.com/ec2/pricing/on-demand/'],
  ['EBS, gp3', 'https://aws.amazon.com/ebs/pricing/'],
  ['VPC, public IPv4', 'https://aws.amazon.com/vpc/pricing/'],
  ['PrivateLink, interface endpoints', 'https://aws.amazon.com/privatelink/pricing/'],
]
