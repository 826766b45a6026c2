# What real servers need: a group that lets directors in and nobody else, a role to enrol by, and the agent. Instances are
# made here where `servers` names some; others take group, profile and setup from the outputs.

locals {
  # IP protocol numbers; a port where the protocol has ports.
  tunnels = {
    ipip = { protocol = "4", port = null }
    ip6  = { protocol = "41", port = null }
    gre  = { protocol = "47", port = null }
    gue  = { protocol = "udp", port = var.gue_port }
  }
  tunnel_rules = merge([
    for kind, one in local.tunnels : { for cidr in var.director_cidrs : "${kind}-${cidr}" => merge(one, { cidr = cidr, kind = kind }) }
  ]...)
  port_rules = merge([
    for one in var.ports : {
      for cidr in var.director_cidrs : "${one.protocol}-${one.from_port}-${one.to_port}-${cidr}" => merge(one, { cidr = cidr })
    }
  ]...)
}

module "hosts" {
  source                = "../ec2-hosts"
  name                  = var.name
  role                  = "real-server"
  site                  = var.site
  labels                = var.labels
  approval              = var.approval
  hosts                 = var.servers
  admit_other_instances = var.admit_other_instances
  setup                 = var.setup
  ssm                   = var.ssm
  ami_id                = var.ami_id
  instance_type         = var.instance_type
  security_group_ids    = concat([aws_security_group.this.id], var.security_group_ids)
  alarm_topic_arns      = var.alarm_topic_arns
}

resource "aws_security_group" "this" {
  name        = var.name
  description = "Real servers of ${var.name}"
  vpc_id      = var.vpc_id
}

resource "aws_vpc_security_group_ingress_rule" "tunnel" {
  for_each          = local.tunnel_rules
  security_group_id = aws_security_group.this.id
  description       = "Tunnels (${each.value.kind}) of directors"
  cidr_ipv4         = each.value.cidr
  ip_protocol       = each.value.protocol
  from_port         = each.value.port
  to_port           = each.value.port
}

# Checks that go to the real server's own address, and NAT with the director's address as source.
resource "aws_vpc_security_group_ingress_rule" "port" {
  for_each          = local.port_rules
  security_group_id = aws_security_group.this.id
  description       = "Checks and NAT of directors"
  cidr_ipv4         = each.value.cidr
  ip_protocol       = each.value.protocol
  from_port         = each.value.from_port
  to_port           = each.value.to_port
}

resource "aws_vpc_security_group_ingress_rule" "icmp" {
  for_each          = toset(var.director_cidrs)
  security_group_id = aws_security_group.this.id
  description       = "ICMP of directors"
  cidr_ipv4         = each.value
  ip_protocol       = "icmp"
  from_port         = -1
  to_port           = -1
}

# Answers go to clients directly and from the VIP: what came in was a tunnel's packet, so no state of the group lets them out.
resource "aws_vpc_security_group_egress_rule" "answers" {
  for_each          = toset(var.client_cidrs)
  security_group_id = aws_security_group.this.id
  description       = "Answers to clients, API, packages"
  cidr_ipv4         = strcontains(each.value, ":") ? null : each.value
  cidr_ipv6         = strcontains(each.value, ":") ? each.value : null
  ip_protocol       = "-1"
}
