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
