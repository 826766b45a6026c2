# The API in a first region, directors and real servers there and in a second one. The networks exist and reach each other
# (peering or a transit gateway): tunnels go from each director to each real server. One site of the fleet for each region.

terraform {
  required_version = ">= 1.11"
  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = "~> 6.45"
    }
  }
}

variable "regions" {
  type        = object({ first = string, second = string })
  description = "Names of the two regions."
}

variable "network" {
  type = object({
    first = object({
      vpc_id = string, cidr = string, private_subnet_ids = list(string), subnet_id = string, director = string, vip = string, real_servers = list(string)
    })
    second = object({
      vpc_id = string, cidr = string, private_subnet_ids = list(string), subnet_id = string, director = string, vip = string, real_servers = list(string)
    })
  })
  description = "Of each region: network and its CIDR, private subnets in two zones for API and database, the subnet of the hosts, and their addresses in it."
}

variable "client_cidrs" {
  type        = list(string)
  description = "From where clients come."
}

variable "zip_file" {
  type        = string
  description = "dist/lvsfleet-api-lambda.zip."
}

variable "agent_package" {
  type        = object({ url = string, sha256 = string })
  description = "lvsfleet-agent_VERSION_arm64.deb: where it is, and its SHA-256."
}

variable "ssm_agent_package" {
  type        = object({ url = string, sha256 = string })
  default     = null
  description = "amazon-ssm-agent.deb for images without it, as Debian's; null otherwise."
}

variable "ami_ids" {
  type        = object({ first = string, second = string })
  description = "Debian 12 or Ubuntu 24.04 for arm64, in each region."
}

variable "mails" {
  type        = list(string)
  default     = []
  description = "Who hears of alarms."
}

provider "aws" {
  region = var.regions.first
}

provider "aws" {
  alias  = "second"
  region = var.regions.second
}

locals {
  fleet_cidrs    = [var.network.first.cidr, var.network.second.cidr]
  director_cidrs = concat(module.directors_first.addresses, module.directors_second.addresses)
  services       = [{ protocol = "tcp", from_port = 80, to_port = 80, cidrs = var.client_cidrs }]
  setup = {
    api_url           = module.api.url
    package           = var.agent_package
    ssm_agent_package = var.ssm_agent_package
    # The API reaches STS of its own region: all hosts sign for that one, wherever they are.
    settings = { AWS_REGION = var.regions.first }
  }
}

module "database" {
  source     = "../../modules/database"
  name       = "lvsfleet"
  vpc_id     = var.network.first.vpc_id
  subnet_ids = var.network.first.private_subnet_ids
}

module "api" {
  source           = "../../modules/api-lambda"
  name             = "lvsfleet"
  zip_file         = var.zip_file
  zip_sha256       = filebase64sha256(var.zip_file)
  vpc_id           = var.network.first.vpc_id
  subnet_ids       = var.network.first.private_subnet_ids
  database         = module.database.connection
  alarm_topic_arns = [module.observability_first.topic_arn]
  # The hosts of this region are in the same network.
  endpoint_client_cidrs = [var.network.first.cidr]
}

module "directors_first" {
  source           = "../../modules/director"
  name             = "lvsfleet-directors-first"
  site             = "first"
  vpc_id           = var.network.first.vpc_id
  setup            = local.setup
  ami_id           = var.ami_ids.first
  fleet_cidrs      = local.fleet_cidrs
  services         = local.services
  alarm_topic_arns = [module.observability_first.topic_arn]
  directors = {
    dir-first = {
      subnet_id = var.network.first.subnet_id
      address   = var.network.first.director
      vips      = [var.network.first.vip]
    }
  }
}

module "directors_second" {
  source           = "../../modules/director"
  providers        = { aws = aws.second }
  name             = "lvsfleet-directors-second"
  site             = "second"
  vpc_id           = var.network.second.vpc_id
  setup            = local.setup
  ami_id           = var.ami_ids.second
  fleet_cidrs      = local.fleet_cidrs
  services         = local.services
  alarm_topic_arns = [module.observability_second.topic_arn]
  directors = {
    dir-second = {
      subnet_id = var.network.second.subnet_id
      address   = var.network.second.director
      vips      = [var.network.second.vip]
    }
  }
}

module "real_servers_first" {
  source           = "../../modules/real-server"
  name             = "lvsfleet-real-servers-first"
  site             = "first"
  labels           = { app = "web" }
  vpc_id           = var.network.first.vpc_id
  setup            = local.setup
  ami_id           = var.ami_ids.first
  director_cidrs   = local.director_cidrs
  ports            = [{ protocol = "tcp", from_port = 80, to_port = 80 }]
  alarm_topic_arns = [module.observability_first.topic_arn]
  servers = {
    for n, address in var.network.first.real_servers : "rs-first-${n + 1}" => { subnet_id = var.network.first.subnet_id, address = address }
  }
}

module "real_servers_second" {
  source           = "../../modules/real-server"
  providers        = { aws = aws.second }
  name             = "lvsfleet-real-servers-second"
  site             = "second"
  labels           = { app = "web" }
  vpc_id           = var.network.second.vpc_id
  setup            = local.setup
  ami_id           = var.ami_ids.second
  director_cidrs   = local.director_cidrs
  ports            = [{ protocol = "tcp", from_port = 80, to_port = 80 }]
  alarm_topic_arns = [module.observability_second.topic_arn]
  servers = {
    for n, address in var.network.second.real_servers : "rs-second-${n + 1}" => { subnet_id = var.network.second.subnet_id, address = address }
  }
}

# Alarms can only tell a topic of their own region. Names, not outputs of the modules above, which take the topic.
module "observability_first" {
  source   = "../../modules/observability"
  name     = "lvsfleet"
  mails    = var.mails
  api      = { function_name = "lvsfleet-api" }
  database = { cluster = "lvsfleet" }
}

module "observability_second" {
  source    = "../../modules/observability"
  providers = { aws = aws.second }
  name      = "lvsfleet"
  mails     = var.mails
  hosts = {
    (var.regions.first)  = { for name, one in module.directors_first.directors : name => one.instance_id }
    (var.regions.second) = { for name, one in module.directors_second.directors : name => one.instance_id }
  }
}

output "url" {
  description = "Where the API answers."
  value       = module.api.url
}

output "admin_key_parameter" {
  description = "Where the first API key is, in the first region."
  value       = module.api.admin_key_parameter
}

output "enrolment_rules" {
  description = "By name, bodies of PUT /v1/enrolment-rules/NAME, once the sites `first` and `second` are in the intent."
  value = merge(
    module.directors_first.enrolment_rules,
    module.directors_second.enrolment_rules,
    module.real_servers_first.enrolment_rules,
    module.real_servers_second.enrolment_rules,
  )
}

output "scripts" {
  description = "By name, the setup that each host runs."
  value = merge(
    module.directors_first.scripts,
    module.directors_second.scripts,
    module.real_servers_first.scripts,
    module.real_servers_second.scripts,
  )
}
