variable "name" {
  type        = string
  description = "Name of the role, and prefix of what else is made. Roles are the account's: one name for each region and call."
  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{1,40}$", var.name))
    error_message = "name must be small letters, digits and dashes, at most 41 of them, beginning with a letter."
  }
}

variable "site" {
  type        = string
  description = "Site of the fleet. It must be in the intent before an enrolment rule can name it."
}

variable "labels" {
  type        = map(string)
  default     = {}
  description = "Labels in the fleet, where enrolment creates the host: what `carriedBy` and pools select."
}

variable "approval" {
  type        = string
  default     = "auto"
  description = "auto, or manual: a person says `lvsfleet approve ID`."
}

variable "vpc_id" {
  type        = string
  description = "The network of the subnets."
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
  description = "URL of the API, packages with their checksums, and the way in, as modules/host-setup describes them."
}

variable "ssm" {
  type = object({
    session_manager = optional(bool, false)
  })
  default     = {}
  description = "Systems Manager: State Manager repeats the setup each day and when it changes; session_manager lets operators in. null = user data only, at the first boot."
}

variable "alarm_topic_arns" {
  type        = list(string)
  default     = []
  description = "SNS topics that hear of alarms, such as output `topic_arn` of the module observability."
}

variable "gue_port" {
  type        = number
  default     = 6080
  description = "UDP port of GUE, as the intent has it for the real servers."
  validation {
    condition     = var.gue_port >= 1 && var.gue_port <= 65535 && floor(var.gue_port) == var.gue_port
    error_message = "gue_port must be a whole number from 1 to 65535."
  }
}

variable "servers" {
  type = map(object({
    subnet_id = string
    address   = string
  }))
  default     = {}
  description = "Instances to make, by their names in the fleet: subnet and address in it. Empty where instances exist or come from a group of yours."
}

variable "admit_other_instances" {
  type        = bool
  default     = false
  description = "Whether any instance with this role may enrol, named by its instance id: for instances that are made elsewhere."
  validation {
    condition     = var.admit_other_instances || length(var.servers) > 0
    error_message = "admit_other_instances must be true where servers is empty: nobody could enrol otherwise."
  }
}

variable "director_cidrs" {
  type        = list(string)
  description = "Addresses of the directors in all sites, as output `addresses` of the module director has them: only they may send tunnels."
  validation {
    condition     = length(var.director_cidrs) > 0 && alltrue([for cidr in var.director_cidrs : can(cidrhost(cidr, 0)) && !strcontains(cidr, ":")])
    error_message = "director_cidrs must be IPv4 networks, such as 10.1.0.10/32, and one at least."
  }
  validation {
    condition     = alltrue([for cidr in var.director_cidrs : try(tonumber(split("/", cidr)[1]) >= 16, false)])
    error_message = "director_cidrs: a network larger than /16 is not where directors are: whoever is in it could send tunnels."
  }
}

variable "ports" {
  type = list(object({
    protocol  = string
    from_port = number
    to_port   = number
  }))
  default     = []
  description = "What directors may reach at the real servers' own addresses, for direct checks and NAT. Tunnels need none."
  validation {
    condition     = alltrue([for one in var.ports : contains(["tcp", "udp", "132"], one.protocol) && one.from_port >= 1 && one.from_port <= one.to_port && one.to_port <= 65535])
    error_message = "ports need protocol tcp, udp or 132, and ports 1 to 65535, from_port at most to_port."
  }
}

variable "client_cidrs" {
  type        = list(string)
  default     = ["0.0.0.0/0"]
  description = "Where answers may go: the clients' networks. Narrower ones must leave the ways to the API, package and STS open in another group."
  validation {
    condition     = length(var.client_cidrs) > 0 && alltrue([for cidr in var.client_cidrs : can(cidrhost(cidr, 0))])
    error_message = "client_cidrs must be networks, and one at least."
  }
}

variable "security_group_ids" {
  type        = list(string)
  default     = []
  description = "Further groups for the instances that are made here."
}

variable "ami_id" {
  type        = string
  default     = "ami-00000000"
  description = "Of the instances that are made here: Debian 12 or newer, or Ubuntu 24.04, of the package's architecture."
  validation {
    condition     = length(var.servers) == 0 || var.ami_id != "ami-00000000"
    error_message = "ami_id must be given where servers names instances to make."
  }
}

variable "instance_type" {
  type        = string
  default     = "t4g.small"
  description = "Of the instances that are made here."
}
