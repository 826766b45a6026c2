variables {
  name        = "lvsfleet-directors"
  site        = "a"
  vpc_id      = "vpc-1"
  ami_id      = "ami-0123456789abcdef0"
  fleet_cidrs = ["10.1.0.0/24", "10.2.0.0/24"]
  services    = [{ protocol = "tcp", from_port = 80, to_port = 80, cidrs = ["10.0.0.0/8"] }]
  directors = {
    dir-a = { subnet_id = "subnet-a", address = "10.1.0.10", vips = ["10.1.0.100"] }
  }
  setup = {
    api_url = "https://api.example"
    package = { url = "https://packages.example/lvsfleet-agent_0.1.0_arm64.deb", sha256 = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855" }
  }
}

run "takes_tunnels_from_the_fleet_only" {
  assert {
    condition     = toset([for one in aws_vpc_security_group_ingress_rule.tunnel : "${one.ip_protocol} ${one.cidr_ipv4}"]) == toset(flatten([for protocol in ["4", "41", "47", "udp"] : [for cidr in var.fleet_cidrs : "${protocol} ${cidr}"]]))
    error_message = "four kinds of tunnel from each network of the fleet"
  }
  assert {
    condition     = alltrue([for one in aws_vpc_security_group_ingress_rule.tunnel : one.ip_protocol != "udp" || (one.from_port == 6080 && one.to_port == 6080)])
    error_message = "GUE on its port only"
  }
  assert {
    condition     = [for one in aws_vpc_security_group_ingress_rule.service : "${one.ip_protocol} ${one.from_port} ${one.to_port} ${one.cidr_ipv4}"] == ["tcp 80 80 10.0.0.0/8"]
    error_message = "clients reach what is named and nothing else"
  }
  assert {
    condition     = [for one in aws_vpc_security_group_ingress_rule.check : one.cidr_ipv4] == ["10.1.0.100/32"] && length(aws_vpc_security_group_ingress_rule.metrics) == 0
    error_message = "answers to checks come from VIPs; nobody scrapes unless asked for"
  }
  assert {
    condition     = output.addresses == ["10.1.0.10/32"] && strcontains(output.scripts["dir-a"], "LVSFLEET_METRICS=127.0.0.1:9614")
    error_message = "real servers let the own address in"
  }
}

run "opens_what_is_meant_to_be_open" {
  command = plan
  variables {
    open_to_the_world = true
    metrics_cidrs     = ["10.9.0.0/24"]
    services          = [{ protocol = "udp", from_port = 53, to_port = 53, cidrs = ["0.0.0.0/0", "::/0"] }]
  }
  assert {
    condition     = length(aws_vpc_security_group_ingress_rule.service) == 2 && aws_vpc_security_group_ingress_rule.service["udp-53-53-::/0"].cidr_ipv6 == "::/0" && aws_vpc_security_group_ingress_rule.service["udp-53-53-::/0"].cidr_ipv4 == null
    error_message = "both families"
  }
  assert {
    condition     = aws_vpc_security_group_ingress_rule.metrics["10.9.0.0/24"].from_port == 9614 && strcontains(output.scripts["dir-a"], "LVSFLEET_METRICS=0.0.0.0:9614")
    error_message = "the agent listens where Prometheus may come"
  }
}

run "refuses_the_world_unless_it_is_meant" {
  command = plan
  variables {
    services = [{ protocol = "tcp", from_port = 80, to_port = 80, cidrs = ["0.0.0.0/0"] }]
  }
  expect_failures = [var.services]
}

run "refuses_values_that_make_no_sense" {
  command = plan
  variables {
    fleet_cidrs   = ["0.0.0.0/0"]
    services      = [{ protocol = "http", from_port = 80, to_port = 79, cidrs = ["clients"] }]
    gue_port      = 70000
    directors     = {}
    routed_vips   = ["10.9.0.0/24"]
    metrics_cidrs = ["0.0.0.0/0"]
  }
  expect_failures = [var.fleet_cidrs, var.services, var.gue_port, var.directors, var.routed_vips, var.metrics_cidrs]
}
