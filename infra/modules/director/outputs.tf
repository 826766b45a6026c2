output "enrolment_rules" {
  description = "By name, bodies of PUT /v1/enrolment-rules/NAME: each instance may enrol as its director and as no other."
  value       = module.hosts.enrolment_rules
}

output "directors" {
  description = "By name: instance, interface (for routes and elastic addresses), address and VIPs."
  value       = module.hosts.hosts
}

output "addresses" {
  description = "Own addresses of the directors, as networks: what the module real-server takes as director_cidrs."
  value       = [for one in var.directors : "${one.address}/32"]
}

output "security_group_id" {
  description = "Of the directors."
  value       = aws_security_group.this.id
}

output "scripts" {
  description = "By name, the setup that user data and State Manager run."
  value       = module.hosts.scripts
}

output "role_arn" {
  description = "Role of the directors."
  value       = module.hosts.role_arn
}

output "statements" {
  description = "What the role may do."
  value       = module.hosts.statements
}
