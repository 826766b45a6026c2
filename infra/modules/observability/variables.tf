variable "name" {
  type        = string
  description = "Name of topic, dashboard and workspace, and prefix of the alarms."
  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{1,40}$", var.name))
    error_message = "name must be small letters, digits and dashes, at most 41 of them, beginning with a letter."
  }
}

variable "mails" {
  type        = list(string)
  default     = []
  description = "Who gets alarms by mail, after saying yes to AWS's question."
  validation {
    condition     = alltrue([for one in var.mails : can(regex("^[^@\\s]+@[^@\\s]+\\.[^@\\s]+$", one))])
    error_message = "mails must be addresses, such as ops@example.org."
  }
}

variable "kms_key_id" {
  type        = string
  default     = null
  description = "Key for the topic, whose policy lets CloudWatch use it. AWS's own key for SNS does not, so alarms would not arrive: it is refused."
  validation {
    condition     = var.kms_key_id == null || !strcontains(coalesce(var.kms_key_id, "none"), "alias/aws/sns")
    error_message = "kms_key_id must be a key of yours: with alias/aws/sns CloudWatch cannot publish."
  }
}

variable "api" {
  type = object({
    function_name = string
  })
  default     = null
  description = "The API behind a Function URL: `function_names.api` of the module api-lambda. null = none."
}

variable "api_5xx_max" {
  type        = number
  default     = 5
  description = "Answers of 5xx in five minutes that are an alarm; the moments of a migration are fewer."
  validation {
    condition     = var.api_5xx_max >= 1
    error_message = "api_5xx_max must be 1 at least."
  }
}

variable "database" {
  type = object({
    cluster         = string
    connections_max = optional(number, 80)
  })
  default     = null
  description = "Identifier of the Aurora cluster, which is `name` of the module database, and the number of connections that is an alarm. null = none."
}

variable "hosts" {
  type        = map(map(string))
  default     = {}
  description = "For the dashboard, by region: names of hosts and their instance ids."
}

variable "prometheus_rules_file" {
  type        = string
  default     = null
  description = "docs/prometheus/alerts.yaml, to make a workspace of Amazon Managed Prometheus with these rules. null = none."
  validation {
    condition     = var.prometheus_rules_file == null || can(yamldecode(file(var.prometheus_rules_file)).groups[0].rules)
    error_message = "prometheus_rules_file must be a file of alert rules that can be read, such as docs/prometheus/alerts.yaml."
  }
}
