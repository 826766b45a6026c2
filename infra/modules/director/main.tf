# Directors on EC2: instances that keep name, address, VIPs and identity, and who may reach them by what.

locals {
  vips = distinct(concat(flatten([for one in var.directors : one.vips]), var.routed_vips))
  # IP protocol numbers; a port where the protocol has ports.
  tunnels = {
    ipip = { protocol = "4", port = null }
    ip6  = { protocol = "41", port = null }
    gre  = { protocol = "47", port = null }
    gue  = { protocol = "udp", port = var.gue_port }
  }
  tunnel_rules = merge([
    for kind, one in local.tunnels : { for cidr in var.fleet_cidrs : "${kind}-${cidr}" => merge(one, { cidr = cidr, kind = kind }) }
  ]...)
  service_rules = merge([
    for one in var.services : {
      for cidr in one.cidrs : "${one.protocol}-${one.from_port}-${one.to_port}-${cidr}" => merge(one, { cidr = cidr })
    }
  ]...)
}

module "hosts" {
  source             = "../ec2-hosts"
  name               = var.name
  role               = "director"
  site               = var.site
  labels             = var.labels
  approval           = var.approval
  hosts              = var.directors
  setup              = var.setup
  metrics            = length(var.metrics_cidrs) > 0 ? "0.0.0.0:9614" : "127.0.0.1:9614"
  ssm                = var.ssm
  ami_id             = var.ami_id
  instance_type      = var.instance_type
  security_group_ids = [aws_security_group.this.id]
  alarm_topic_arns   = var.alarm_topic_arns
}

resource "aws_security_group" "this" {
  name        = var.name
  description = "Directors of ${var.name}"
  vpc_id      = var.vpc_id
}

resource "aws_vpc_security_group_ingress_rule" "service" {
  for_each          = local.service_rules
  security_group_id = aws_security_group.this.id
  description       = "Clients"
  cidr_ipv4         = strcontains(each.value.cidr, ":") ? null : each.value.cidr
  cidr_ipv6         = strcontains(each.value.cidr, ":") ? each.value.cidr : null
  ip_protocol       = each.value.protocol
  from_port         = each.value.from_port
  to_port           = each.value.to_port
}

# A director may be a real server of the others.
resource "aws_vpc_security_group_ingress_rule" "tunnel" {
  for_each          = local.tunnel_rules
  security_group_id = aws_security_group.this.id
  description       = "Tunnels (${each.value.kind}) of the fleet"
  cidr_ipv4         = each.value.cidr
  ip_protocol       = each.value.protocol
  from_port         = each.value.port
  to_port           = each.value.port
}

# "Port unreachable" and "too big" are about packets that left inside a tunnel, so no state of the group knows them.
resource "aws_vpc_security_group_ingress_rule" "icmp" {
  for_each          = toset(var.fleet_cidrs)
  security_group_id = aws_security_group.this.id
  description       = "ICMP of the fleet: MTU of paths"
  cidr_ipv4         = each.value
  ip_protocol       = "icmp"
  from_port         = -1
  to_port           = -1
}

# Answers to health checks that went through a tunnel come from the VIP, and no state of the group knows them either.
resource "aws_vpc_security_group_ingress_rule" "check" {
  for_each          = toset(local.vips)
  security_group_id = aws_security_group.this.id
  description       = "Answers to health checks"
  cidr_ipv4         = "${each.value}/32"
  ip_protocol       = "-1"
}

resource "aws_vpc_security_group_ingress_rule" "metrics" {
  for_each          = toset(var.metrics_cidrs)
  security_group_id = aws_security_group.this.id
  description       = "Prometheus"
  cidr_ipv4         = each.value
  ip_protocol       = "tcp"
  from_port         = 9614
  to_port           = 9614
}

# Tunnels, checks and NAT, whatever the port.
resource "aws_vpc_security_group_egress_rule" "fleet" {
  for_each          = toset(var.fleet_cidrs)
  security_group_id = aws_security_group.this.id
  description       = "The fleet"
  cidr_ipv4         = each.value
  ip_protocol       = "-1"
}

# The API, packages, AWS's own interfaces.
resource "aws_vpc_security_group_egress_rule" "web" {
  for_each          = toset(["80", "443"])
  security_group_id = aws_security_group.this.id
  description       = "API, packages, AWS"
  cidr_ipv4         = "0.0.0.0/0"
  ip_protocol       = "tcp"
  from_port         = tonumber(each.value)
  to_port           = tonumber(each.value)
}
