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

variable "directors" {
  type = map(object({
    subnet_id = string
    address   = string
    vips      = optional(list(string), [])
  }))
  description = "By their names in the fleet: subnet, own address in it, and VIPs of the subnet, which the interface then has too."
  validation {
    condition     = length(var.directors) > 0
    error_message = "directors needs one director at least."
  }
}

variable "routed_vips" {
  type        = list(string)
  default     = []
  description = "VIPs outside of the subnets, which route tables of yours bring to the interfaces."
  validation {
    condition     = alltrue([for one in var.routed_vips : can(cidrhost("${one}/32", 0)) && !strcontains(one, ":")])
    error_message = "routed_vips must be IPv4 addresses without a prefix length."
  }
}

variable "services" {
  type = list(object({
    protocol  = string
    from_port = number
    to_port   = number
    cidrs     = list(string)
  }))
  default     = []
  description = "What clients may reach: protocol (tcp, udp, or 132 for SCTP), ports, and from where."
  validation {
    condition     = alltrue([for one in var.services : contains(["tcp", "udp", "132"], one.protocol)])
    error_message = "services: protocol must be tcp, udp or 132."
  }
  validation {
    condition     = alltrue([for one in var.services : one.from_port >= 1 && one.from_port <= one.to_port && one.to_port <= 65535])
    error_message = "services: ports must be 1 to 65535, from_port at most to_port."
  }
  validation {
    condition     = alltrue(flatten([for one in var.services : [for cidr in one.cidrs : can(cidrhost(cidr, 0))]]))
    error_message = "services: cidrs must be networks, such as 10.0.0.0/8."
  }
  validation {
    condition     = var.open_to_the_world || alltrue(flatten([for one in var.services : [for cidr in one.cidrs : !endswith(cidr, "/0")]]))
    error_message = "services: a network of /0 is the whole world; say open_to_the_world = true where that is meant."
  }
}

variable "open_to_the_world" {
  type        = bool
  default     = false
  description = "Whether services may be open to everybody."
}

variable "fleet_cidrs" {
  type        = list(string)
  description = "Networks of directors and real servers in all sites: tunnels come from there and go there, and nowhere else."
  validation {
    condition     = length(var.fleet_cidrs) > 0 && alltrue([for cidr in var.fleet_cidrs : can(cidrhost(cidr, 0)) && !strcontains(cidr, ":")])
    error_message = "fleet_cidrs must be IPv4 networks, such as 10.1.0.0/24, and one at least."
  }
  validation {
    condition     = alltrue([for cidr in var.fleet_cidrs : try(tonumber(split("/", cidr)[1]) >= 8, false)])
    error_message = "fleet_cidrs: a network larger than /8 is not a fleet's: whoever is in it could send tunnels."
  }
}

variable "metrics_cidrs" {
  type        = list(string)
  default     = []
  description = "Networks of Prometheus, which may scrape port 9614; empty = the agents answer on loopback only."
  validation {
    condition     = alltrue([for cidr in var.metrics_cidrs : can(cidrhost(cidr, 0)) && !endswith(cidr, "/0")])
    error_message = "metrics_cidrs must be networks, and not the whole world."
  }
}

variable "ami_id" {
  type        = string
  description = "Debian 12 or newer, or Ubuntu 24.04, of the package's architecture."
}

variable "instance_type" {
  type        = string
  default     = "c7g.large"
  description = "Packets, not bytes, are what a director's instance is chosen by."
}
