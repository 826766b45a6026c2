output "cloud_config" {
  description = "#cloud-config for the machine. With activation = in-state it holds the activation's code."
  value       = local.cloud_config
  sensitive   = true
}

output "setup_script" {
  description = "For machines without cloud-init: installs and tells the agent who it is. Holds no secret."
  value       = module.setup.script
}

output "register_script" {
  description = "Registers the machine with Systems Manager. With activation = in-state it holds the code."
  value       = local.is_ssm ? local.register : null
  sensitive   = true
}

output "activation_command" {
  description = "Makes an activation without Terraform; put its id and code into /etc/lvsfleet/ssm-activation of the machine, in one line."
  value       = local.is_ssm && !local.is_made ? "aws ssm create-activation --region ${local.region} --iam-role ${var.name} --default-instance-name ${var.name} --registration-limit ${var.machines} --expiration-date \"$(date -u -d '+${var.activation_hours} hours' +%Y-%m-%dT%H:%M:%SZ)\"" : null
}

output "enrolment_rules" {
  description = "By name, bodies of PUT /v1/enrolment-rules/NAME. The session is the managed node's id (mi-…), which Systems Manager gives."
  value = {
    for key in [var.name] : key => {
      aws      = { account = local.account, arn = "${local.session}/mi-*", instance = false }
      role     = "director"
      site     = var.site
      labels   = var.labels
      hostName = "{session}"
      approval = var.approval
      replaces = false
    } if var.way_in == "aws-identity"
  }
}

output "join_token" {
  description = "Makes the token for way_in = token, where the API is at hand; good once, for this site."
  value       = var.way_in == "token" ? "lvsfleet join-token --role director --site ${var.site}${var.host_name == null ? "" : " --name ${var.host_name}"}" : null
}

output "statements" {
  description = "What the role may do."
  value       = local.is_ssm ? local.statements : []
}
