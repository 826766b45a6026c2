variable "api_url" {
  type        = string
  description = "Where agents find the API: output `url` of the module api-lambda, or of a machine of yours."
  validation {
    condition     = can(regex("^https://[A-Za-z0-9.:/_-]+$", var.api_url))
    error_message = "api_url must be an https URL: who reads a join token on the way can enrol."
  }
}

variable "role" {
  type        = string
  description = "director or real-server."
  validation {
    condition     = contains(["director", "real-server"], var.role)
    error_message = "role must be director or real-server."
  }
}

variable "package" {
  type = object({
    url    = string
    sha256 = string
  })
  description = "lvsfleet-agent_VERSION_ARCH.deb for the hosts' architecture: an https URL, or s3://BUCKET/KEY, which the host's role reads with awscli (Debian has it; Ubuntu's images bring none)."
  validation {
    condition     = can(regex("^(https|s3)://[A-Za-z0-9.:/_~%+-]+\\.deb$", var.package.url)) && can(regex("^[0-9a-f]{64}$", var.package.sha256))
    error_message = "package.url must be an https or s3 URL of a .deb file, and package.sha256 its SHA-256 in 64 small hex digits."
  }
}

variable "ssm_agent_package" {
  type = object({
    url    = string
    sha256 = string
  })
  default     = null
  description = "amazon-ssm-agent.deb for images that come without it, as Debian's do. Ubuntu's and Amazon's have it: null."
  validation {
    condition     = var.ssm_agent_package == null || (can(regex("^(https|s3)://[A-Za-z0-9.:/_~%+-]+\\.deb$", var.ssm_agent_package.url)) && can(regex("^[0-9a-f]{64}$", var.ssm_agent_package.sha256)))
    error_message = "ssm_agent_package.url must be an https or s3 URL of a .deb file, and its sha256 64 small hex digits."
  }
}

variable "join" {
  type        = string
  default     = "aws"
  description = "aws = by the host's AWS identity, parameter = a token in Parameter Store, file = a token that an operator puts into /etc/lvsfleet/join-token."
  validation {
    condition     = contains(["aws", "parameter", "file"], var.join)
    error_message = "join must be aws, parameter or file."
  }
}

variable "token_parameter" {
  type        = string
  default     = null
  description = "With join = parameter: name of the SecureString parameter that holds the join token."
  validation {
    condition     = var.join == "parameter" ? can(regex("^/[A-Za-z0-9_./-]+$", var.token_parameter)) : var.token_parameter == null
    error_message = "token_parameter is the full name of a parameter, such as /lvsfleet/join/site-a/director, with join = parameter and only then."
  }
}

variable "host_name" {
  type        = string
  default     = null
  description = "Name in the fleet where the way in leaves it open. An enrolment rule decides it by itself."
  validation {
    condition     = var.host_name == null || can(regex("^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$", var.host_name))
    error_message = "host_name must be small letters, digits and dashes, at most 63 of them."
  }
}

variable "addresses" {
  type        = list(string)
  default     = []
  description = "Addresses that the host enrols with; empty = the one that leads to the API."
  validation {
    condition     = alltrue([for one in var.addresses : can(cidrhost("${one}/32", 0)) || can(cidrhost("${one}/128", 0))])
    error_message = "addresses must be IPv4 or IPv6 addresses without a prefix length."
  }
}

variable "region" {
  type        = string
  default     = null
  description = "Region of STS and Parameter Store; null = that of the instance, by its metadata."
  validation {
    condition     = var.region == null || can(regex("^[a-z]{2}(-[a-z]+)+-[0-9]$", var.region))
    error_message = "region must be the name of a region, such as eu-central-1."
  }
}

variable "metrics" {
  type        = string
  default     = "127.0.0.1:9614"
  description = "Where the agent answers Prometheus: ADDRESS:PORT, or off."
  validation {
    condition     = var.metrics == "off" || can(regex("^([0-9.]+|\\[[0-9a-f:]+\\]):[0-9]{1,5}$", var.metrics))
    error_message = "metrics must be off or an address and a port, such as 127.0.0.1:9614."
  }
}

variable "kernel_modules" {
  type        = list(string)
  default     = null
  description = "Modules to load at once and at each boot; null = IPVS on directors, what takes tunnels off on real servers."
  validation {
    condition     = alltrue([for one in coalesce(var.kernel_modules, ["ip_vs"]) : can(regex("^[a-z0-9_]+$", one))]) && length(coalesce(var.kernel_modules, ["ip_vs"])) > 0
    error_message = "kernel_modules must be names of modules, such as ip_vs, and one at least."
  }
}

variable "settings" {
  type        = map(string)
  default     = {}
  description = "More of the agent's settings, such as { LVSFLEET_PATH_SECONDS = \"0\" }. Never a secret: user data is readable on the host."
  validation {
    condition     = alltrue([for key, value in var.settings : can(regex("^(LVSFLEET|AWS)_[A-Z_]+$", key)) && can(regex("^[A-Za-z0-9.:/_,@%+=-]*$", value))])
    error_message = "settings must be named LVSFLEET_… or AWS_…, with values of letters, digits and . : / _ , @ % + = -."
  }
  validation {
    condition     = !contains(keys(var.settings), "LVSFLEET_TOKEN")
    error_message = "settings must not hold LVSFLEET_TOKEN: a token in user data and state is no secret any more. Use token_parameter."
  }
}
