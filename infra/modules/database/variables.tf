variable "name" {
  type        = string
  description = "Prefix of everything that is made, such as lvsfleet-prod."
  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{1,40}$", var.name))
    error_message = "name must be small letters, digits and dashes, at most 41 of them, beginning with a letter."
  }
}

variable "vpc_id" {
  type        = string
  description = "The network that the database lives in."
}

variable "subnet_ids" {
  type        = list(string)
  description = "Private subnets, in two availability zones at least."
  validation {
    condition     = length(var.subnet_ids) >= 2
    error_message = "subnet_ids needs two subnets at least: Aurora spreads over availability zones."
  }
}

variable "capacity" {
  type = object({
    min = number
    max = number
  })
  default     = { min = 0.5, max = 2 }
  description = "Aurora capacity units, each about 2 GB of memory. A min of 0 lets the database sleep, and the first request then waits for it."
  validation {
    condition     = var.capacity.min >= 0 && var.capacity.max >= 1 && var.capacity.min <= var.capacity.max
    error_message = "capacity needs 0 <= min <= max and max >= 1."
  }
}

variable "instances" {
  type        = number
  default     = 2
  description = "One writes, the others take over when it fails."
  validation {
    condition     = var.instances >= 1 && var.instances <= 15
    error_message = "instances must be 1 to 15."
  }
}

variable "password_version" {
  type        = number
  default     = 1
  description = "Raise it to replace the master password, which is in no state and no plan."
}

variable "backup_days" {
  type        = number
  default     = 14
  description = "Days for which the database can be restored to any second, 1 to 35."
  validation {
    condition     = var.backup_days >= 1 && var.backup_days <= 35
    error_message = "backup_days must be 1 to 35."
  }
}

variable "deletion_protection" {
  type        = bool
  default     = true
  description = "Whether AWS refuses to delete the database."
}
