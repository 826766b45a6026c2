variable "name" {
  type        = string
  description = "Prefix of everything that is made, and of the parameters: /NAME/signing-key."
  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{1,40}$", var.name))
    error_message = "name must be small letters, digits and dashes, at most 41 of them, beginning with a letter."
  }
}

variable "zip_file" {
  type        = string
  description = "dist/lvsfleet-api-lambda.zip, as npm run build makes it."
}

variable "zip_sha256" {
  type        = string
  description = "Base64 of the file's SHA-256: filebase64sha256(). A new value replaces the code of both functions, then migrates the database; until then the API answers 503."
}

variable "vpc_id" {
  type        = string
  description = "The network of the database."
}

variable "subnet_ids" {
  type        = list(string)
  description = "Private subnets for the functions."
  validation {
    condition     = length(var.subnet_ids) >= 1
    error_message = "subnet_ids needs one subnet at least."
  }
}

variable "database" {
  type = object({
    host               = string
    port               = number
    name               = string
    user               = string
    password_parameter = string
    security_group_id  = string
    resource_id        = string
  })
  description = "Output `connection` of the module database, or the same of a database of your own."
  # Both become part of what the roles may do, where a star would be any.
  validation {
    condition     = can(regex("^[A-Za-z_][A-Za-z0-9_-]{0,62}$", var.database.user))
    error_message = "database.user must be the name of a user, of letters, digits, _ and -."
  }
  validation {
    condition     = var.database_login == "rds-iam" || can(regex("^(/[A-Za-z0-9_.-]+)+$", var.database.password_parameter))
    error_message = "database.password_parameter must be the full name of a parameter, such as /lvsfleet/database-password."
  }
}

variable "database_login" {
  type        = string
  default     = "password"
  description = "password = from the parameter; rds-iam = the user of `database`, granted rds_iam beforehand, by the functions' roles."
  validation {
    condition     = contains(["password", "rds-iam"], var.database_login)
    error_message = "database_login must be password or rds-iam."
  }
}

variable "front" {
  type        = string
  default     = "function-url"
  description = "function-url = cheapest, no domain of your own; http-api = API Gateway, whose domains and limits come with a price for each request."
  validation {
    condition     = contains(["function-url", "http-api"], var.front)
    error_message = "front must be function-url or http-api."
  }
}

variable "next_signing_key_parameters" {
  type        = list(string)
  default     = []
  description = "Parameters of the signing keys that follow the first, in order, one for each rotation (docs/serverless.md). `migrate` makes the keys. Add names behind the last one and take none away."
  validation {
    condition     = length(var.next_signing_key_parameters) <= 32
    error_message = "next_signing_key_parameters must be 32 at most."
  }
  validation {
    condition     = alltrue([for name in var.next_signing_key_parameters : can(regex("^(/[A-Za-z0-9_.-]+)+$", name))])
    error_message = "next_signing_key_parameters must be full names of parameters, such as /lvsfleet/signing-key-2."
  }
  validation {
    condition     = length(setintersection(var.next_signing_key_parameters, local.taken)) == 0
    error_message = "next_signing_key_parameters must not be a parameter that holds something else: the first signing key, the admin key or the database's password."
  }
  validation {
    condition     = length(distinct(var.next_signing_key_parameters)) == length(var.next_signing_key_parameters)
    error_message = "next_signing_key_parameters: each name stands once, because a key that signed is not taken again."
  }
}

variable "join_token_prefix" {
  type        = string
  default     = null
  description = "Where housekeeping keeps a join token for each site and role, a day long: PREFIX/SITE/director and PREFIX/SITE/real-server, for hosts of this region that join by a parameter. null = none are kept."
  validation {
    condition     = var.join_token_prefix == null || can(regex("^(/[A-Za-z0-9_.-]+)+$", var.join_token_prefix))
    error_message = "join_token_prefix must begin with a slash and end without one, such as /lvsfleet/join."
  }
  validation {
    condition = alltrue([
      for name in concat(local.taken, var.next_signing_key_parameters) : !startswith(name, "${coalesce(var.join_token_prefix, "none")}/")
    ])
    error_message = "join_token_prefix must have nothing but join tokens below it: serving may write there."
  }
}

variable "sts_endpoint" {
  type        = string
  default     = null
  description = "A proxy that takes AWS identities to STS, as https://HOST with a certificate of a public authority; its answers decide who may enrol. null = the STS host that each host signed for."
  validation {
    condition     = var.sts_endpoint == null || can(regex("^https://[a-z0-9]([a-z0-9.-]*[a-z0-9])?$", var.sts_endpoint))
    error_message = "sts_endpoint must be https://HOST in small letters, with neither port nor path: what is sent there is a login that only TLS protects, and the functions get out by port 443."
  }
}

variable "poll_seconds" {
  type        = number
  default     = 30
  description = "What agents are told to wait between polls: the price of the API and the delay of a change, 1 to 3600."
  validation {
    condition     = var.poll_seconds >= 1 && var.poll_seconds <= 3600
    error_message = "poll_seconds must be 1 to 3600."
  }
}

variable "max_instances" {
  type        = number
  default     = 20
  description = "Reserved concurrency. Each instance takes up to two of the database's connections."
  validation {
    condition     = var.max_instances >= 1
    error_message = "max_instances must be 1 at least."
  }
}

variable "memory_mb" {
  type        = number
  default     = 512
  description = "Memory of an instance, with which its share of a processor grows."
  validation {
    condition     = var.memory_mb >= 256 && var.memory_mb <= 10240
    error_message = "memory_mb must be 256 to 10240."
  }
}

variable "log_level" {
  type        = string
  default     = "info"
  description = "Least level that is written."
  validation {
    condition     = contains(["info", "warn", "error", "silent"], var.log_level)
    error_message = "log_level must be info, warn, error or silent."
  }
}

variable "system_log_level" {
  type        = string
  default     = "WARN"
  description = "Least level of Lambda's own lines: WARN, or INFO for two lines about each request."
  validation {
    condition     = contains(["WARN", "INFO", "DEBUG"], var.system_log_level)
    error_message = "system_log_level must be WARN, INFO or DEBUG."
  }
}

variable "log_days" {
  type        = number
  default     = 30
  description = "Days for which logs are kept."
}

variable "alarm_topic_arns" {
  type        = list(string)
  default     = []
  description = "SNS topics that hear of alarms."
}

variable "create_ssm_endpoint" {
  type        = bool
  default     = true
  description = "Whether to make the interface endpoint by which private subnets reach Parameter Store. False where there is one, or a NAT gateway."
}

variable "create_sts_endpoint" {
  type        = bool
  default     = true
  description = "Whether to make the interface endpoint by which private subnets reach STS of this region, to check AWS identities. False where there is one, a NAT gateway, or no host that joins by its identity."
}

variable "endpoint_client_cidrs" {
  type        = list(string)
  default     = []
  description = "Networks of hosts in the functions' VPC: the endpoints take over the names of Parameter Store and STS there, so hosts of the same VPC reach both only from here."
  validation {
    condition     = alltrue([for cidr in var.endpoint_client_cidrs : can(cidrhost(cidr, 0)) && !strcontains(cidr, ":") && !endswith(cidr, "/0")])
    error_message = "endpoint_client_cidrs must be IPv4 networks, such as 10.1.0.0/16, and not the whole world."
  }
}
