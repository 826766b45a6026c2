variable "name" {
  type        = string
  description = "Name of the role and of the activation, such as lvsfleet-onprem-a."
  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{1,40}$", var.name))
    error_message = "name must be small letters, digits and dashes, at most 41 of them, beginning with a letter."
  }
}

variable "site" {
  type        = string
  description = "Site of the fleet. It must be in the intent before an enrolment rule can name it."
  validation {
    condition     = can(regex("^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$", var.site))
    error_message = "site must be small letters, digits and dashes, at most 63 of them."
  }
}

variable "labels" {
  type        = map(string)
  default     = {}
  description = "Labels in the fleet, where enrolment creates the director."
}

variable "approval" {
  type        = string
  default     = "manual"
  description = "With way_in = aws-identity: manual = a person says `lvsfleet approve ID`; auto = whoever registered is in."
  validation {
    condition     = contains(["auto", "manual"], var.approval)
    error_message = "approval must be auto or manual."
  }
}

variable "api_url" {
  type        = string
  description = "Where agents find the API, by https."
}

variable "package" {
  type = object({
    url    = string
    sha256 = string
  })
  description = "lvsfleet-agent_VERSION_ARCH.deb: an https URL and its SHA-256."
  validation {
    condition     = startswith(var.package.url, "https://")
    error_message = "package.url must be an https URL: the machine has no role yet by which it could read from S3."
  }
}

variable "ssm_agent_package" {
  type = object({
    url    = string
    sha256 = string
  })
  default     = null
  description = "amazon-ssm-agent.deb: an https URL and its SHA-256. null where it is installed."
}

variable "way_in" {
  type        = string
  default     = "token"
  description = "token = an operator puts a join token into /etc/lvsfleet/join-token; aws-identity = by the role of Systems Manager; parameter = a token that this role may read."
  validation {
    condition     = contains(["token", "aws-identity", "parameter"], var.way_in)
    error_message = "way_in must be token, aws-identity or parameter."
  }
}

variable "activation" {
  type        = string
  default     = "operator"
  description = "operator = a person runs output `activation_command` and puts id and code onto the machine; in-state = Terraform makes it, and the code is in the state and in output `cloud_config`: a secret until it expired."
  validation {
    condition     = contains(["operator", "in-state"], var.activation)
    error_message = "activation must be operator or in-state."
  }
}

variable "activation_hours" {
  type        = number
  default     = 24
  description = "Life of an activation, 1 to 720 hours."
  validation {
    condition     = var.activation_hours >= 1 && var.activation_hours <= 720 && floor(var.activation_hours) == var.activation_hours
    error_message = "activation_hours must be a whole number from 1 to 720."
  }
}

variable "machines" {
  type        = number
  default     = 1
  description = "How many machines may register with one activation, 1 to 1000."
  validation {
    condition     = var.machines >= 1 && var.machines <= 1000
    error_message = "machines must be 1 to 1000."
  }
}

variable "token_parameter" {
  type        = string
  default     = null
  description = "With way_in = parameter: the SecureString with the join token, such as /lvsfleet/join/SITE/director, where LVSFLEET_JOIN_TOKENS keeps one for this site."
  validation {
    condition     = (var.way_in == "parameter") == (var.token_parameter != null)
    error_message = "token_parameter is needed with way_in = parameter, and has no meaning otherwise."
  }
}

variable "host_name" {
  type        = string
  default     = null
  description = "Name in the fleet where one machine is meant; null where the way in names it."
}

variable "addresses" {
  type        = list(string)
  default     = []
  description = "Addresses that the machine enrols with; empty = the one that leads to the API."
}

variable "settings" {
  type        = map(string)
  default     = {}
  description = "More of the agent's settings, never a secret."
}
