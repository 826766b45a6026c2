# The functions reach the database and AWS's own interfaces, and nothing reaches them but Lambda itself.

resource "aws_security_group" "functions" {
  name        = "${var.name}-functions"
  description = "The functions of ${var.name}"
  vpc_id      = var.vpc_id
}

resource "aws_vpc_security_group_egress_rule" "database" {
  security_group_id            = aws_security_group.functions.id
  description                  = "Postgres"
  referenced_security_group_id = var.database.security_group_id
  ip_protocol                  = "tcp"
  from_port                    = var.database.port
  to_port                      = var.database.port
}

resource "aws_vpc_security_group_ingress_rule" "database" {
  security_group_id            = var.database.security_group_id
  description                  = "Functions of ${var.name}"
  referenced_security_group_id = aws_security_group.functions.id
  ip_protocol                  = "tcp"
  from_port                    = var.database.port
  to_port                      = var.database.port
}

resource "aws_vpc_security_group_egress_rule" "https" {
  security_group_id = aws_security_group.functions.id
  description       = "Parameter Store and STS"
  cidr_ipv4         = "0.0.0.0/0"
  ip_protocol       = "tcp"
  from_port         = 443
  to_port           = 443
}

locals {
  endpoints    = toset(concat(var.create_ssm_endpoint ? ["ssm"] : [], var.create_sts_endpoint ? ["sts"] : []))
  has_endpoint = length(local.endpoints) > 0
}

resource "aws_security_group" "endpoint" {
  count       = local.has_endpoint ? 1 : 0
  name        = "${var.name}-endpoints"
  description = "Parameter Store and STS for the functions of ${var.name}"
  vpc_id      = var.vpc_id
}

resource "aws_vpc_security_group_ingress_rule" "endpoint" {
  count                        = local.has_endpoint ? 1 : 0
  security_group_id            = aws_security_group.endpoint[0].id
  description                  = "Functions of ${var.name}"
  referenced_security_group_id = aws_security_group.functions.id
  ip_protocol                  = "tcp"
  from_port                    = 443
  to_port                      = 443
}

# The names of AWS lead here in the whole network, so whoever else is in it must get in as well.
resource "aws_vpc_security_group_ingress_rule" "endpoint_neighbours" {
  for_each          = local.has_endpoint ? toset(var.endpoint_client_cidrs) : toset([])
  security_group_id = aws_security_group.endpoint[0].id
  description       = "Others in the network"
  cidr_ipv4         = each.key
  ip_protocol       = "tcp"
  from_port         = 443
  to_port           = 443
}

# Of STS only that of this region: hosts elsewhere sign for it (AWS_REGION of the agent), or the functions need a NAT gateway.
resource "aws_vpc_endpoint" "this" {
  for_each            = local.endpoints
  vpc_id              = var.vpc_id
  service_name        = "com.amazonaws.${local.region}.${each.key}"
  vpc_endpoint_type   = "Interface"
  subnet_ids          = var.subnet_ids
  security_group_ids  = [aws_security_group.endpoint[0].id]
  private_dns_enabled = true
}

moved {
  from = aws_vpc_endpoint.ssm[0]
  to   = aws_vpc_endpoint.this["ssm"]
}
