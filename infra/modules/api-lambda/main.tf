# The API as two functions: `migrate` brings the tables up to date and makes the first secrets, then `api` serves.

data "aws_region" "this" {}
data "aws_caller_identity" "this" {}
data "aws_partition" "this" {}

locals {
  region     = data.aws_region.this.region
  account    = data.aws_caller_identity.this.account_id
  partition  = data.aws_partition.this.partition
  parameters = "arn:${local.partition}:ssm:${local.region}:${local.account}:parameter"
  # Made by `migrate`, so in no state; Terraform only knows their names.
  signing_key = "/${var.name}/signing-key"
  admin_key   = "/${var.name}/admin-key"
  # What the variables may not name for something else.
  taken    = compact([local.signing_key, local.admin_key, var.database.password_parameter])
  uses_iam = var.database_login == "rds-iam"
  keeps    = var.join_token_prefix != null

  functions = {
    api = {
      handler  = "lambda.handler"
      timeout  = 30
      memory   = var.memory_mb
      reserved = var.max_instances
      makes    = []
      # Sites come and go without Terraform; the roles are these two.
      replaces = local.keeps ? [for role in ["director", "real-server"] : "${var.join_token_prefix}/*/${role}"] : []
    }
    migrate = {
      handler  = "lambda-migrate.handler"
      timeout  = 300
      memory   = 512
      reserved = 1
      makes    = concat([local.signing_key, local.admin_key], var.next_signing_key_parameters)
      replaces = []
    }
  }

  reads = concat(
    [local.signing_key],
    var.next_signing_key_parameters,
    local.uses_iam ? [] : [var.database.password_parameter],
  )

  policies = {
    for key, one in local.functions : key => {
      Version = "2012-10-17"
      Statement = concat(
        [{
          Sid      = "Log"
          Effect   = "Allow"
          Action   = ["logs:CreateLogStream", "logs:PutLogEvents"]
          Resource = ["${aws_cloudwatch_log_group.this[key].arn}:*"]
        }],
        [{
          Sid      = "ReadSecrets"
          Effect   = "Allow"
          Action   = ["ssm:GetParameter"]
          Resource = [for name in local.reads : "${local.parameters}${name}"]
        }],
        [for names in [one.makes] : {
          Sid      = "MakeSecrets"
          Effect   = "Allow"
          Action   = ["ssm:PutParameter"]
          Resource = [for name in names : "${local.parameters}${name}"]
        } if length(names) > 0],
        # A key that is replaced locks every agent out. AWS documents this condition for a denial.
        [for names in [one.makes] : {
          Sid       = "ReplaceNone"
          Effect    = "Deny"
          Action    = ["ssm:PutParameter"]
          Resource  = [for name in names : "${local.parameters}${name}"]
          Condition = { StringEquals = { "ssm:Overwrite" = ["true"] } }
        } if length(names) > 0],
        [for names in [one.replaces] : {
          Sid      = "KeepJoinTokens"
          Effect   = "Allow"
          Action   = ["ssm:GetParameter", "ssm:PutParameter"]
          Resource = [for name in names : "${local.parameters}${name}"]
        } if length(names) > 0],
        [for user in [var.database.user] : {
          Sid      = "LogIntoDatabase"
          Effect   = "Allow"
          Action   = ["rds-db:connect"]
          Resource = ["arn:${local.partition}:rds-db:${local.region}:${local.account}:dbuser:${var.database.resource_id}/${user}"]
        } if local.uses_iam],
      )
    }
  }
}

resource "aws_cloudwatch_log_group" "this" {
  for_each          = toset(["api", "migrate"])
  name              = "/aws/lambda/${var.name}-${each.key}"
  retention_in_days = var.log_days
}

resource "aws_iam_role" "this" {
  for_each = local.functions
  name     = "${var.name}-${each.key}"
  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Action    = "sts:AssumeRole"
      Principal = { Service = "lambda.amazonaws.com" }
    }]
  })
}

resource "aws_iam_role_policy" "this" {
  for_each = local.functions
  name     = "own"
  role     = aws_iam_role.this[each.key].id
  policy   = jsonencode(local.policies[each.key])
}

# Network interfaces in the subnets: AWS knows no narrower right for them.
resource "aws_iam_role_policy_attachment" "network" {
  for_each   = local.functions
  role       = aws_iam_role.this[each.key].name
  policy_arn = "arn:${local.partition}:iam::aws:policy/service-role/AWSLambdaVPCAccessExecutionRole"
}

resource "aws_lambda_function" "this" {
  for_each                       = local.functions
  function_name                  = "${var.name}-${each.key}"
  role                           = aws_iam_role.this[each.key].arn
  runtime                        = "nodejs24.x"
  architectures                  = ["arm64"]
  handler                        = each.value.handler
  filename                       = var.zip_file
  source_code_hash               = var.zip_sha256
  timeout                        = each.value.timeout
  memory_size                    = each.value.memory
  reserved_concurrent_executions = each.value.reserved

  vpc_config {
    subnet_ids         = var.subnet_ids
    security_group_ids = [aws_security_group.functions.id]
  }

  logging_config {
    log_format = "JSON"
    log_group  = aws_cloudwatch_log_group.this[each.key].name
    # Lambda's own lines at INFO, two for each request, cost more than the requests (docs/cost.md).
    system_log_level = var.system_log_level
  }

  environment {
    variables = merge(
      {
        DATABASE_URL                   = "postgres://${var.database.user}@${var.database.host}:${var.database.port}/${var.database.name}"
        LVSFLEET_DATABASE_AUTH         = var.database_login
        LVSFLEET_SIGNING_KEY_PARAMETER = local.signing_key
        LVSFLEET_ADMIN_KEY_PARAMETER   = local.admin_key
        LVSFLEET_NAME                  = var.name
        LVSFLEET_POLL_SECONDS          = tostring(var.poll_seconds)
        LVSFLEET_LOG                   = var.log_level
        # The runtime's own bundle, with the authorities of RDS.
        NODE_EXTRA_CA_CERTS = "/var/runtime/ca-cert.pem"
      },
      local.uses_iam ? {} : { LVSFLEET_DATABASE_PASSWORD_PARAMETER = var.database.password_parameter },
      length(var.next_signing_key_parameters) == 0 ? {} : { LVSFLEET_NEXT_SIGNING_KEY_PARAMETERS = join(",", var.next_signing_key_parameters) },
      # Serving asks STS and keeps tokens; migrating does neither.
      each.key == "api" && local.keeps ? { LVSFLEET_JOIN_TOKENS = "ssm:${var.join_token_prefix}" } : {},
      each.key == "api" && var.sts_endpoint != null ? { LVSFLEET_STS_ENDPOINT = var.sts_endpoint } : {},
    )
  }

  depends_on = [aws_iam_role_policy.this, aws_iam_role_policy_attachment.network]
}

# For some seconds the new code waits for it and answers 503, which agents take calmly: they keep forwarding and ask again.
resource "aws_lambda_invocation" "migrate" {
  function_name = aws_lambda_function.this["migrate"].function_name
  input         = jsonencode({})
  triggers      = { code = var.zip_sha256 }

  depends_on = [
    aws_vpc_security_group_ingress_rule.database,
    aws_vpc_security_group_egress_rule.database,
    aws_vpc_security_group_egress_rule.https,
    aws_vpc_endpoint.this,
    aws_vpc_security_group_ingress_rule.endpoint,
  ]
}
