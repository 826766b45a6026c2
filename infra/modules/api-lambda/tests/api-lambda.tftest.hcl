variables {
  name       = "lvsfleet-test"
  zip_file   = "api.zip"
  zip_sha256 = "c2hhMjU2"
  vpc_id     = "vpc-1"
  subnet_ids = ["subnet-a"]
  database = {
    host               = "db.internal"
    port               = 5432
    name               = "lvsfleet"
    user               = "lvsfleet"
    password_parameter = "/lvsfleet-test/database-password"
    security_group_id  = "sg-database"
    resource_id        = "cluster-1"
  }
}

run "serves_at_a_function_url_with_both_permissions" {
  assert {
    condition     = aws_lambda_permission.url[0].action == "lambda:InvokeFunctionUrl" && aws_lambda_permission.invoke_by_url[0].action == "lambda:InvokeFunction"
    error_message = "a URL needs both permissions"
  }
  assert {
    condition     = output.url == aws_lambda_function_url.this[0].function_url && length(aws_apigatewayv2_api.this) == 0
    error_message = "one front only"
  }
  assert {
    condition     = alltrue([for one in aws_lambda_function.this : !can(regex("(?i)password=|:[^/@]+@", one.environment[0].variables["DATABASE_URL"]))])
    error_message = "no secret may be in the environment"
  }
  assert {
    condition     = alltrue([for one in aws_lambda_function.this : one.logging_config[0].system_log_level == "WARN"])
    error_message = "two lines for each request would cost more than the requests"
  }
}

run "gives_each_role_what_it_needs_and_no_more" {
  assert {
    condition     = toset(flatten([for s in output.policies["api"].Statement : s.Action])) == toset(["logs:CreateLogStream", "logs:PutLogEvents", "ssm:GetParameter"])
    error_message = "serving reads secrets and writes logs"
  }
  assert {
    condition     = toset(flatten([for s in output.policies["migrate"].Statement : s.Action])) == toset(["logs:CreateLogStream", "logs:PutLogEvents", "ssm:GetParameter", "ssm:PutParameter"])
    error_message = "migrating may make secrets too"
  }
  assert {
    condition = alltrue(flatten([
      for policy in output.policies : [
        for s in policy.Statement : [for r in s.Resource : r != "*" && !endswith(r, "parameter/*")]
      ]
    ]))
    error_message = "every right is for named resources"
  }
}

run "knows_the_keys_that_follow_the_first_one" {
  variables {
    next_signing_key_parameters = ["/lvsfleet-test/signing-key-2", "/elsewhere/signing-key-3"]
  }
  assert {
    condition     = alltrue([for one in aws_lambda_function.this : lookup(one.environment[0].variables, "LVSFLEET_NEXT_SIGNING_KEY_PARAMETERS", null) == "/lvsfleet-test/signing-key-2,/elsewhere/signing-key-3"])
    error_message = "both functions must be told them, in their order"
  }
  assert {
    condition = alltrue([
      for key in ["api", "migrate"] : toset(flatten([for s in output.policies[key].Statement : s.Resource if s.Sid == "ReadSecrets"])) == toset([
        for name in ["/lvsfleet-test/signing-key", "/lvsfleet-test/signing-key-2", "/elsewhere/signing-key-3", "/lvsfleet-test/database-password"] :
        "arn:aws:ssm:eu-central-1:123456789012:parameter${name}"
      ])
    ])
    error_message = "both functions must be able to read them, and nothing else"
  }
  assert {
    condition = alltrue([
      for sid in ["MakeSecrets", "ReplaceNone"] : toset(flatten([for s in output.policies["migrate"].Statement : s.Resource if s.Sid == sid])) == toset([
        for name in ["/lvsfleet-test/signing-key", "/lvsfleet-test/admin-key", "/lvsfleet-test/signing-key-2", "/elsewhere/signing-key-3"] :
        "arn:aws:ssm:eu-central-1:123456789012:parameter${name}"
      ])
    ])
    error_message = "migrating makes keys"
  }
  assert {
    condition     = [for s in output.policies["migrate"].Statement : s.Effect if s.Sid == "ReplaceNone"] == ["Deny"]
    error_message = "migrating replaces no key"
  }
  assert {
    condition     = !contains(flatten([for s in output.policies["api"].Statement : s.Action]), "ssm:PutParameter")
    error_message = "serving writes no key"
  }
}

run "keeps_join_tokens_where_hosts_fetch_them" {
  variables {
    join_token_prefix = "/lvsfleet-test/join"
  }
  assert {
    condition     = lookup(aws_lambda_function.this["api"].environment[0].variables, "LVSFLEET_JOIN_TOKENS", null) == "ssm:/lvsfleet-test/join" && output.join_token_prefix == "/lvsfleet-test/join"
    error_message = "the function that keeps house must be told where"
  }
  assert {
    condition     = !contains(keys(aws_lambda_function.this["migrate"].environment[0].variables), "LVSFLEET_JOIN_TOKENS")
    error_message = "migrating keeps no tokens"
  }
  assert {
    condition = toset(flatten([for s in output.policies["api"].Statement : s.Resource if contains(s.Action, "ssm:PutParameter")])) == toset([
      "arn:aws:ssm:eu-central-1:123456789012:parameter/lvsfleet-test/join/*/director",
      "arn:aws:ssm:eu-central-1:123456789012:parameter/lvsfleet-test/join/*/real-server",
    ])
    error_message = "serving writes join tokens and no other parameter"
  }
  assert {
    condition     = !strcontains(jsonencode(output.policies["migrate"]), "/join/")
    error_message = "migrating has nothing to do with tokens"
  }
}

run "asks_sts_itself_unless_told_otherwise" {
  assert {
    condition     = alltrue([for one in aws_lambda_function.this : length(setintersection(keys(one.environment[0].variables), ["LVSFLEET_STS_ENDPOINT", "LVSFLEET_JOIN_TOKENS", "LVSFLEET_NEXT_SIGNING_KEY_PARAMETERS"])) == 0])
    error_message = "what nobody asked for must not be set"
  }
  assert {
    condition     = aws_vpc_endpoint.this["sts"].service_name == "com.amazonaws.eu-central-1.sts" && aws_vpc_endpoint.this["sts"].private_dns_enabled
    error_message = "private subnets must reach STS of this region"
  }
}

run "asks_a_proxy_for_sts" {
  variables {
    sts_endpoint        = "https://sts-proxy.example.internal"
    create_sts_endpoint = false
  }
  assert {
    condition     = aws_lambda_function.this["api"].environment[0].variables["LVSFLEET_STS_ENDPOINT"] == "https://sts-proxy.example.internal"
    error_message = "serving must ask there"
  }
  assert {
    condition     = keys(aws_vpc_endpoint.this) == ["ssm"] && length(aws_security_group.endpoint) == 1
    error_message = "no endpoint of STS is needed then"
  }
}

run "lets_neighbours_use_the_endpoints_only_where_they_are_named" {
  variables {
    endpoint_client_cidrs = ["10.1.0.0/16"]
  }
  assert {
    condition     = [for one in aws_vpc_security_group_ingress_rule.endpoint_neighbours : "${one.cidr_ipv4} ${one.ip_protocol} ${one.from_port}-${one.to_port}"] == ["10.1.0.0/16 tcp 443-443"]
    error_message = "hosts of the same network find AWS at the endpoints"
  }
}

run "makes_no_endpoint_where_there_are_some" {
  variables {
    create_ssm_endpoint   = false
    create_sts_endpoint   = false
    endpoint_client_cidrs = ["10.1.0.0/16"]
  }
  assert {
    condition     = length(aws_vpc_endpoint.this) + length(aws_security_group.endpoint) + length(aws_vpc_security_group_ingress_rule.endpoint_neighbours) == 0
    error_message = "nothing of them may be left"
  }
}

run "logs_in_by_role_without_a_password" {
  variables {
    database_login = "rds-iam"
  }
  assert {
    condition     = contains(flatten([for s in output.policies["api"].Statement : s.Action]), "rds-db:connect")
    error_message = "the role must be allowed to connect"
  }
  assert {
    condition     = !contains(keys(aws_lambda_function.this["api"].environment[0].variables), "LVSFLEET_DATABASE_PASSWORD_PARAMETER")
    error_message = "there is no password then"
  }
  assert {
    condition     = alltrue(flatten([for s in output.policies["api"].Statement : [for r in s.Resource : !strcontains(r, "database-password")]]))
    error_message = "the password must not be readable then"
  }
}

run "serves_at_an_http_api" {
  variables {
    front = "http-api"
  }
  assert {
    condition     = aws_apigatewayv2_stage.this[0].name == "$default" && aws_apigatewayv2_integration.this[0].payload_format_version == "2.0"
    error_message = "the API knows no stage in its path, and payload version 2"
  }
  assert {
    condition     = length(aws_lambda_function_url.this) + length(aws_lambda_permission.url) == 0
    error_message = "nothing of a URL may be left"
  }
}

run "refuses_values_that_make_no_sense" {
  command = plan
  variables {
    poll_seconds     = 0
    front            = "alb"
    database_login   = "trust"
    max_instances    = 0
    system_log_level = "ERROR"
  }
  expect_failures = [var.poll_seconds, var.front, var.database_login, var.max_instances, var.system_log_level]
}

run "refuses_keys_whose_names_are_no_names_of_parameters" {
  command = plan
  variables {
    next_signing_key_parameters = ["/lvsfleet-test/signing-key-*"]
  }
  expect_failures = [var.next_signing_key_parameters]
}

run "refuses_keys_in_relative_parameters" {
  command = plan
  variables {
    next_signing_key_parameters = ["signing-key-2"]
  }
  expect_failures = [var.next_signing_key_parameters]
}

run "refuses_the_same_key_twice" {
  command = plan
  variables {
    next_signing_key_parameters = ["/lvsfleet-test/signing-key-2", "/lvsfleet-test/signing-key-2"]
  }
  expect_failures = [var.next_signing_key_parameters]
}

run "refuses_the_first_key_as_the_next_one" {
  command = plan
  variables {
    next_signing_key_parameters = ["/lvsfleet-test/signing-key"]
  }
  expect_failures = [var.next_signing_key_parameters]
}

run "refuses_the_password_as_a_key_that_migrating_may_write" {
  command = plan
  variables {
    next_signing_key_parameters = ["/lvsfleet-test/database-password"]
  }
  expect_failures = [var.next_signing_key_parameters]
}

run "refuses_more_keys_than_the_api_takes" {
  command = plan
  variables {
    next_signing_key_parameters = [for n in range(33) : "/lvsfleet-test/signing-key-${n + 2}"]
  }
  expect_failures = [var.next_signing_key_parameters]
}

run "refuses_a_prefix_with_a_star" {
  command = plan
  variables {
    join_token_prefix = "/lvsfleet-test/*"
  }
  expect_failures = [var.join_token_prefix]
}

run "refuses_a_prefix_that_ends_with_a_slash" {
  command = plan
  variables {
    join_token_prefix = "/lvsfleet-test/join/"
  }
  expect_failures = [var.join_token_prefix]
}

run "refuses_a_prefix_above_the_keys" {
  command = plan
  variables {
    join_token_prefix = "/lvsfleet-test"
  }
  expect_failures = [var.join_token_prefix]
}

run "refuses_a_prefix_above_keys_to_come" {
  command = plan
  variables {
    join_token_prefix           = "/join"
    next_signing_key_parameters = ["/join/site-a/director"]
  }
  expect_failures = [var.join_token_prefix]
}

run "refuses_sts_in_clear" {
  command = plan
  variables {
    sts_endpoint = "http://sts-proxy.example.internal"
  }
  expect_failures = [var.sts_endpoint]
}

run "refuses_sts_at_another_port" {
  command = plan
  variables {
    sts_endpoint = "https://sts-proxy.example.internal:8443"
  }
  expect_failures = [var.sts_endpoint]
}

run "refuses_the_world_as_a_neighbour" {
  command = plan
  variables {
    endpoint_client_cidrs = ["0.0.0.0/0"]
  }
  expect_failures = [var.endpoint_client_cidrs]
}

run "refuses_a_database_whose_password_is_any_parameter" {
  command = plan
  variables {
    database = {
      host               = "db.internal"
      port               = 5432
      name               = "lvsfleet"
      user               = "lvsfleet"
      password_parameter = "/*"
      security_group_id  = "sg-database"
      resource_id        = "cluster-1"
    }
  }
  expect_failures = [var.database]
}

run "refuses_a_database_whose_user_is_anybody" {
  command = plan
  variables {
    database_login = "rds-iam"
    database = {
      host               = "db.internal"
      port               = 5432
      name               = "lvsfleet"
      user               = "*"
      password_parameter = ""
      security_group_id  = "sg-database"
      resource_id        = "cluster-1"
    }
  }
  expect_failures = [var.database]
}
