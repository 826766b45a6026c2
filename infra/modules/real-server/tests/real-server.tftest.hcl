variables {
  name           = "lvsfleet-real-servers"
  site           = "b"
  vpc_id         = "vpc-1"
  director_cidrs = ["10.1.0.10/32", "10.2.0.10/32"]
  ports          = [{ protocol = "tcp", from_port = 80, to_port = 80 }]
  setup = {
    api_url = "https://api.example"
    package = { url = "https://packages.example/lvsfleet-agent_0.1.0_arm64.deb", sha256 = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855" }
  }
  admit_other_instances = true
}

run "lets_directors_in_and_nobody_else" {
  assert {
    condition     = toset([for one in aws_vpc_security_group_ingress_rule.tunnel : "${one.ip_protocol} ${one.cidr_ipv4}"]) == toset(flatten([for protocol in ["4", "41", "47", "udp"] : [for cidr in var.director_cidrs : "${protocol} ${cidr}"]]))
    error_message = "four kinds of tunnel from each director"
  }
  assert {
    condition     = toset([for one in aws_vpc_security_group_ingress_rule.port : one.cidr_ipv4]) == toset(var.director_cidrs)
    error_message = "ports are for directors"
  }
}

run "serves_instances_that_are_made_elsewhere" {
  command = plan
  assert {
    condition     = endswith(output.enrolment_rules["lvsfleet-real-servers"].aws.arn, ":assumed-role/lvsfleet-real-servers/*") && output.enrolment_rules["lvsfleet-real-servers"].role == "real-server"
    error_message = "any instance of the role"
  }
  assert {
    condition     = strcontains(output.script, "LVSFLEET_HOST_ROLE=real-server\n") && strcontains(output.script, "\nfou\n") && !strcontains(output.script, "LVSFLEET_HOST_NAME")
    error_message = "the setup names no host"
  }
  assert {
    condition     = yamldecode(output.cloud_config).write_files[0].content == output.script && length(output.servers) == 0
    error_message = "the same for a cloud-init of yours"
  }
}

run "makes_instances_where_some_are_named" {
  command = plan
  variables {
    admit_other_instances = false
    ami_id                = "ami-0123456789abcdef0"
    servers               = { rs-b1 = { subnet_id = "subnet-b", address = "10.2.0.11" } }
  }
  assert {
    condition     = keys(output.enrolment_rules) == ["rs-b1"] && output.servers["rs-b1"].address == "10.2.0.11"
    error_message = "one rule for one instance"
  }
}

run "refuses_what_nobody_could_use_or_everybody_could" {
  command = plan
  variables {
    admit_other_instances = false
    director_cidrs        = ["0.0.0.0/0"]
    ports                 = [{ protocol = "tcp", from_port = 0, to_port = 80 }]
    client_cidrs          = ["clients"]
    gue_port              = 0
  }
  expect_failures = [var.admit_other_instances, var.director_cidrs, var.ports, var.client_cidrs, var.gue_port]
}

run "refuses_instances_without_an_image" {
  command = plan
  variables {
    servers = { rs-b1 = { subnet_id = "subnet-b", address = "10.2.0.11" } }
  }
  expect_failures = [var.ami_id]
}
