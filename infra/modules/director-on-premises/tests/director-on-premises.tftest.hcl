variables {
  name    = "lvsfleet-onprem"
  site    = "cellar"
  api_url = "https://api.example"
  package = { url = "https://packages.example/lvsfleet-agent_0.1.0_amd64.deb", sha256 = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855" }
}

run "needs_nothing_of_aws_with_a_token" {
  command = plan
  assert {
    condition     = length(aws_iam_role.this) + length(aws_ssm_activation.this) == 0 && length(output.enrolment_rules) == 0
    error_message = "nothing is made"
  }
  assert {
    condition     = strcontains(output.setup_script, "LVSFLEET_TOKEN_FILE=/etc/lvsfleet/join-token\n") && output.join_token == "lvsfleet join-token --role director --site cellar"
    error_message = "an operator brings the token"
  }
  assert {
    condition     = length(yamldecode(output.cloud_config).runcmd) == 1
    error_message = "nothing is registered"
  }
}

run "keeps_the_code_out_of_the_state_unless_told_otherwise" {
  command = plan
  variables {
    way_in = "aws-identity"
  }
  assert {
    condition     = length(aws_ssm_activation.this) == 0 && strcontains(output.activation_command, "--iam-role lvsfleet-onprem ")
    error_message = "an operator makes the activation"
  }
  assert {
    condition     = strcontains(output.setup_script, "AWS_SHARED_CREDENTIALS_FILE=/run/lvsfleet-aws-credentials\n") && strcontains(output.register_script, "/run/lvsfleet-aws-credentials")
    error_message = "the agent's user cannot read root's credentials"
  }
  assert {
    condition     = strcontains(output.register_script, "/etc/lvsfleet/ssm-activation") && [for one in yamldecode(output.cloud_config).write_files : one.path] == ["/usr/local/sbin/lvsfleet-setup", "/usr/local/sbin/lvsfleet-register"]
    error_message = "and puts it onto the machine"
  }
  assert {
    condition     = output.enrolment_rules["lvsfleet-onprem"].aws.instance == false && endswith(output.enrolment_rules["lvsfleet-onprem"].aws.arn, ":assumed-role/lvsfleet-onprem/mi-*") && output.enrolment_rules["lvsfleet-onprem"].approval == "manual"
    error_message = "managed nodes of this role, and a person says yes"
  }
  assert {
    condition     = jsondecode(aws_iam_role.this[0].assume_role_policy).Statement[0].Principal.Service == "ssm.amazonaws.com" && jsondecode(aws_iam_role.this[0].assume_role_policy).Statement[0].Condition.StringEquals["aws:SourceAccount"] == data.aws_caller_identity.this.account_id
    error_message = "only Systems Manager of this account may assume the role"
  }
  assert {
    condition     = !anytrue(flatten([for s in output.statements : [for a in s.Action : startswith(a, "ssm:GetParameter")]]))
    error_message = "no parameter is readable"
  }
}

run "puts_the_code_into_the_state_where_that_is_asked_for" {
  variables {
    way_in     = "aws-identity"
    activation = "in-state"
    machines   = 2
  }
  assert {
    condition     = aws_ssm_activation.this[0].registration_limit == 2 && strcontains(output.register_script, "code=${aws_ssm_activation.this[0].activation_code}\n") && output.activation_command == null
    error_message = "the script has the code"
  }
  assert {
    condition     = !strcontains(output.setup_script, aws_ssm_activation.this[0].activation_code)
    error_message = "the setup, which is not sensitive, must not have it"
  }
}

run "reads_the_token_of_its_site" {
  command = plan
  variables {
    way_in          = "parameter"
    token_parameter = "/lvsfleet/join/cellar/director"
  }
  assert {
    condition     = endswith(one(one([for s in output.statements : s.Resource if s.Sid == "ReadToken"])), ":parameter/lvsfleet/join/cellar/director") && strcontains(output.setup_script, "LVSFLEET_TOKEN_SSM=/lvsfleet/join/cellar/director\n")
    error_message = "one parameter"
  }
}

run "refuses_values_that_make_no_sense" {
  command = plan
  variables {
    way_in           = "guest"
    activation       = "mail"
    activation_hours = 0
    machines         = 0
    approval         = "maybe"
    site             = "Cellar"
    package          = { url = "s3://packages/a.deb", sha256 = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855" }
  }
  expect_failures = [var.way_in, var.activation, var.activation_hours, var.machines, var.approval, var.site, var.package]
}

run "refuses_a_parameter_that_nobody_reads" {
  command = plan
  variables {
    token_parameter = "/a"
  }
  expect_failures = [var.token_parameter]
}
