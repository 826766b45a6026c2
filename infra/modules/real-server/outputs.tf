output "enrolment_rules" {
  description = "By name, bodies of PUT /v1/enrolment-rules/NAME."
  value       = module.hosts.enrolment_rules
}

output "servers" {
  description = "By name: instance, interface and address of those that were made here."
  value       = module.hosts.hosts
}

output "security_group_id" {
  description = "For instances that are made elsewhere. Their source/destination check must be off too: they answer from the VIP."
  value       = aws_security_group.this.id
}

output "instance_profile_name" {
  description = "For instances that are made elsewhere."
  value       = module.hosts.instance_profile_name
}

output "script" {
  description = "Setup for instances that are made elsewhere: as user data, or run as root."
  value       = module.hosts.setup_of_others.script
}

output "cloud_config" {
  description = "The same as #cloud-config, to be merged into one of yours."
  value       = module.hosts.setup_of_others.cloud_config
}

output "scripts" {
  description = "By name, the setup of the instances that were made here."
  value       = module.hosts.scripts
}

output "statements" {
  description = "What the role may do."
  value       = module.hosts.statements
}
