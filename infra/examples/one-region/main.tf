# The API in one region, in a network that exists: its private subnets need no way to the internet.

terraform {
  required_version = ">= 1.11"
  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = "~> 6.45"
    }
  }
}

variable "region" {
  type        = string
  description = "Where everything is made."
}

variable "vpc_id" {
  type        = string
  description = "An existing network."
}

variable "subnet_ids" {
  type        = list(string)
  description = "Two private subnets of it, in two availability zones."
}

variable "zip_file" {
  type        = string
  description = "dist/lvsfleet-api-lambda.zip."
}

provider "aws" {
  region = var.region
}

module "database" {
  source     = "../../modules/database"
  name       = "lvsfleet"
  vpc_id     = var.vpc_id
  subnet_ids = var.subnet_ids
}

module "api" {
  source     = "../../modules/api-lambda"
  name       = "lvsfleet"
  zip_file   = var.zip_file
  zip_sha256 = filebase64sha256(var.zip_file)
  vpc_id     = var.vpc_id
  subnet_ids = var.subnet_ids
  database   = module.database.connection
}

output "url" {
  description = "Where the API answers."
  value       = module.api.url
}

output "admin_key_parameter" {
  description = "Where the first API key is."
  value       = module.api.admin_key_parameter
}
