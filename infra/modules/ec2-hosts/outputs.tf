output "enrolment_rules" {
  description = "By name, bodies of PUT /v1/enrolment-rules/NAME: which instance may enrol as which host."
  value       = merge(local.rules, local.rule_of_others)
}

output "hosts" {
  description = "By name: instance, interface (for routes and elastic addresses), address and VIPs."
  value = {
    for name, one in var.hosts : name => {
      instance_id          = aws_instance.this[name].id
      network_interface_id = aws_network_interface.this[name].id
      address              = one.address
      vips                 = one.vips
    }
  }
}

output "scripts" {
  description = "The setup of each host, as its user data has it."
  value       = { for name, one in module.setup : name => one.script }
}

output "setup_of_others" {
  description = "Script and cloud_config for instances that are made elsewhere."
  value       = { script = module.setup_of_others.script, cloud_config = module.setup_of_others.cloud_config }
}

output "role_arn" {
  description = "Role of the hosts."
  value       = aws_iam_role.this.arn
}

output "instance_profile_name" {
  description = "For instances that are made elsewhere."
  value       = aws_iam_instance_profile.this.name
}

output "statements" {
  description = "What the role may do."
  value       = local.statements
}
