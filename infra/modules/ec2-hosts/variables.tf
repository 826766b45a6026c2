variable "name" {
  type        = string
  description = "Name of the role, and prefix of what else is made. Roles are the account's: one name for each region and call."
  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{1,40}$", var.name))
    error_message = "name must be small letters, digits and dashes, at most 41 of them, beginning with a letter."
  }
}

variable "role" {
  type        = string
  description = "director or real-server."
}

variable "site" {
  type        = string
  description = "Site of the fleet that the hosts belong to. It must be in the intent before an enrolment rule can name it."
  validation {
    condition     = can(regex("^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$", var.site))
    error_message = "site must be small letters, digits and dashes, at most 63 of them."
  }
}

variable "labels" {
  type        = map(string)
  default     = {}
  description = "Labels of the hosts in the fleet, where enrolment creates them."
}

variable "approval" {
  type        = string
  default     = "auto"
  description = "auto, or manual: a person says `lvsfleet approve ID`."
  validation {
    condition     = contains(["auto", "manual"], var.approval)
    error_message = "approval must be auto or manual."
  }
}

variable "hosts" {
  type = map(object({
    subnet_id = string
    address   = string
    vips      = optional(list(string), [])
  }))
  description = "By their names in the fleet: subnet, address in it, and VIPs as further addresses of the interface."
  validation {
    condition     = alltrue([for name in keys(var.hosts) : can(regex("^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$", name))])
    error_message = "hosts must be named in small letters, digits and dashes, at most 63 of them."
  }
  validation {
    condition     = alltrue([for one in var.hosts : alltrue([for ip in concat([one.address], one.vips) : can(cidrhost("${ip}/32", 0)) && !strcontains(ip, ":")])])
    error_message = "hosts need IPv4 addresses without a prefix length as address and vips."
  }
  validation {
    condition     = length(distinct(flatten([for one in var.hosts : concat([one.address], one.vips)]))) == length(flatten([for one in var.hosts : concat([one.address], one.vips)]))
    error_message = "hosts: an address or VIP stands on one host only."
  }
}

variable "admit_other_instances" {
  type        = bool
  default     = false
  description = "Whether instances that are made elsewhere may enrol by this role, named by their instance ids."
}

variable "setup" {
  type = object({
    api_url           = string
    package           = object({ url = string, sha256 = string })
    ssm_agent_package = optional(object({ url = string, sha256 = string }))
    join              = optional(string, "aws")
    token_parameter   = optional(string)
    kernel_modules    = optional(list(string))
    settings          = optional(map(string), {})
  })
  description = "What the module host-setup takes of these names."
  validation {
    condition     = contains(["aws", "parameter"], var.setup.join)
    error_message = "setup.join must be aws or parameter: nobody puts a file onto these hosts."
  }
}

variable "metrics" {
  type        = string
  default     = "127.0.0.1:9614"
  description = "Where the agents answer Prometheus."
}

variable "ssm" {
  type = object({
    session_manager = optional(bool, false)
  })
  default     = {}
  description = "Systems Manager: State Manager repeats the setup each day and when it changes; session_manager lets operators in. null = user data only, at the first boot."
}

variable "ami_id" {
  type        = string
  description = "Debian 12 or newer, or Ubuntu 24.04, of the package's architecture. A newer image counts for instances to come."
  validation {
    condition     = can(regex("^ami-[0-9a-f]+$", var.ami_id))
    error_message = "ami_id must be the id of an image, such as ami-0123456789abcdef0."
  }
}

variable "instance_type" {
  type        = string
  description = "Of all hosts of this call."
}

variable "disk_gb" {
  type        = number
  default     = 10
  description = "Size of the root disk, 8 to 1000."
  validation {
    condition     = var.disk_gb >= 8 && var.disk_gb <= 1000
    error_message = "disk_gb must be 8 to 1000."
  }
}

variable "security_group_ids" {
  type        = list(string)
  description = "Of the hosts' interfaces."
}

variable "alarm_topic_arns" {
  type        = list(string)
  default     = []
  description = "SNS topics that hear of alarms."
}
