variables {
  name               = "lvsfleet-dir"
  role               = "director"
  site               = "a"
  ami_id             = "ami-0123456789abcdef0"
  instance_type      = "t4g.small"
  security_group_ids = ["sg-1"]
  hosts = {
    dir-a = { subnet_id = "subnet-a", address = "10.1.0.10", vips = ["10.1.0.100"] }
    dir-b = { subnet_id = "subnet-b", address = "10.1.1.10" }
  }
  setup = {
    api_url = "https://api.example"
    package = { url = "s3://packages/lvsfleet-agent_0.1.0_arm64.deb", sha256 = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855" }
  }
}

run "forwards_with_metadata_that_no_client_can_reach" {
  assert {
    condition     = alltrue([for one in aws_network_interface.this : one.source_dest_check == false])
    error_message = "directors and real servers handle packets that are not for their own address"
  }
  assert {
    condition     = alltrue([for one in aws_instance.this : one.metadata_options[0].http_tokens == "required" && one.metadata_options[0].http_put_response_hop_limit == 1])
    error_message = "IMDSv2 only, and for the host only"
  }
  assert {
    condition     = alltrue([for one in aws_instance.this : one.root_block_device[0].encrypted])
    error_message = "the disk holds the host's key"
  }
  assert {
    condition     = aws_network_interface.this["dir-a"].private_ip_list == tolist(["10.1.0.10", "10.1.0.100"])
    error_message = "the own address comes first, then the VIPs"
  }
}

run "lets_each_instance_enrol_as_one_host" {
  assert {
    condition     = endswith(output.enrolment_rules["dir-a"].aws.arn, ":assumed-role/lvsfleet-dir/${aws_instance.this["dir-a"].id}") && output.enrolment_rules["dir-a"].hostName == "dir-a"
    error_message = "a rule names one instance and one host"
  }
  assert {
    condition     = length(output.enrolment_rules) == 2 && alltrue([for one in output.enrolment_rules : !strcontains(one.aws.arn, "*")])
    error_message = "no rule is for more than one instance"
  }
  assert {
    condition     = jsondecode(aws_iam_role.this.assume_role_policy).Statement[0].Principal == { Service = "ec2.amazonaws.com" }
    error_message = "who chose session names could call itself any instance"
  }
}

run "gives_the_role_what_it_needs_and_no_more" {
  command = plan
  assert {
    condition     = one([for s in output.statements : s.Resource if s.Sid == "FetchPackage"]) == ["arn:${data.aws_partition.this.partition}:s3:::packages/lvsfleet-agent_0.1.0_arm64.deb"]
    error_message = "one object of S3"
  }
  assert {
    condition     = !anytrue(flatten([for s in output.statements : [for a in s.Action : startswith(a, "ssm:GetParameter") || a == "ssmmessages:OpenDataChannel" || endswith(a, "*")]]))
    error_message = "no parameter is readable, and nobody gets a session, unless asked for"
  }
  assert {
    condition     = toset([for s in output.statements : s.Sid if contains(s.Resource, "*")]) == toset(["Channels"])
    error_message = "only channels have no resource"
  }
}

run "reads_one_token_and_lets_operators_in_where_asked" {
  command = plan
  variables {
    ssm = { session_manager = true }
    setup = {
      api_url         = "https://api.example"
      package         = { url = "https://packages.example/a.deb", sha256 = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855" }
      join            = "parameter"
      token_parameter = "/lvsfleet/join/a/director"
    }
  }
  assert {
    condition     = endswith(one(one([for s in output.statements : s.Resource if s.Sid == "ReadToken"])), ":parameter/lvsfleet/join/a/director")
    error_message = "one parameter"
  }
  assert {
    condition     = anytrue([for s in output.statements : contains(s.Action, "ssmmessages:OpenDataChannel")]) && !anytrue([for s in output.statements : s.Sid == "FetchPackage"])
    error_message = "sessions are allowed, S3 is not needed"
  }
  assert {
    condition     = length(output.enrolment_rules) == 0
    error_message = "a token needs no rule"
  }
}

run "repeats_the_setup_by_state_manager" {
  assert {
    condition     = alltrue([for name, one in aws_ssm_association.this : one.parameters.commands == aws_instance.this[name].user_data && contains(one.targets[0].values, aws_instance.this[name].id)])
    error_message = "each host's own script"
  }
  assert {
    condition     = alltrue([for name, one in aws_instance.this : strcontains(one.user_data, "LVSFLEET_HOST_NAME=${name}\n")])
    error_message = "each host knows its name"
  }
}

run "does_without_systems_manager" {
  command = plan
  variables {
    ssm = null
  }
  assert {
    condition     = length(aws_ssm_association.this) == 0 && [for s in output.statements : s.Sid] == ["FetchPackage"]
    error_message = "no association, no right"
  }
}

run "admits_instances_of_a_group_where_asked" {
  command = plan
  variables {
    admit_other_instances = true
    hosts                 = {}
    alarm_topic_arns      = ["arn:aws:sns:eu-central-1:123456789012:ops"]
  }
  assert {
    condition     = endswith(output.enrolment_rules["lvsfleet-dir"].aws.arn, "/lvsfleet-dir/*") && output.enrolment_rules["lvsfleet-dir"].hostName == "{instance}" && !output.enrolment_rules["lvsfleet-dir"].replaces
    error_message = "named by instance, and none takes the place of another"
  }
}

run "hears_of_each_host" {
  command = plan
  variables {
    alarm_topic_arns = ["arn:aws:sns:eu-central-1:123456789012:ops"]
  }
  assert {
    condition     = length(aws_cloudwatch_metric_alarm.this) == 4 && aws_cloudwatch_metric_alarm.this["dir-a-machine"].treat_missing_data == "breaching" && alltrue([for one in aws_cloudwatch_metric_alarm.this : one.alarm_actions == toset(["arn:aws:sns:eu-central-1:123456789012:ops"])])
    error_message = "two alarms a host, and silence is one"
  }
}

run "refuses_values_that_make_no_sense" {
  command = plan
  variables {
    name    = "Dir"
    site    = "Site A"
    ami_id  = "debian"
    disk_gb = 1
    hosts   = { dir-a = { subnet_id = "s", address = "10.1.0.10", vips = ["10.1.0.10"] } }
  }
  expect_failures = [var.name, var.site, var.ami_id, var.disk_gb, var.hosts]
}
