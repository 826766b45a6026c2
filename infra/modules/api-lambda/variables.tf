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
