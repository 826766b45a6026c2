# Directors outside of AWS. Two ways in, neither of which needs a secret in Terraform's state:
#   token: an operator makes a join token and puts it onto the machine. Nothing of AWS is needed.
#   ssm:   the machine is registered with Systems Manager (hybrid activation) and then has a role, by which it enrols or
#          reads a token from Parameter Store.
# AWS's provider knows the activation's code as an attribute only, so a code that Terraform makes is in its state in clear.
# Therefore `activation` is "operator" unless somebody says "in-state".

data "aws_caller_identity" "this" {}
data "aws_partition" "this" {}
data "aws_region" "this" {}

locals {
  account   = data.aws_caller_identity.this.account_id
  partition = data.aws_partition.this.partition
  region    = data.aws_region.this.region
  is_ssm    = var.way_in != "token"
  is_made   = local.is_ssm && var.activation == "in-state"
  ways_in   = { token = "file", aws-identity = "aws", parameter = "parameter" }
  session   = "arn:${local.partition}:sts::${local.account}:assumed-role/${var.name}"
  expires   = local.is_made ? timeadd(plantimestamp(), "${var.activation_hours}h") : null

  statements = concat(
    [for name in [var.token_parameter] : {
      Sid      = "ReadToken"
      Effect   = "Allow"
      Action   = ["ssm:GetParameter"]
      Resource = ["arn:${local.partition}:ssm:${local.region}:${local.account}:parameter${name}"]
    } if name != null],
    [
      {
        Sid    = "BeManaged"
        Effect = "Allow"
        Action = [
          "ssm:UpdateInstanceInformation", "ssm:ListInstanceAssociations", "ssm:UpdateInstanceAssociationStatus",
          "ssm:DescribeAssociation", "ssm:ListAssociations", "ssm:GetDocument", "ssm:DescribeDocument",
          "ssm:RequestManagedInstanceRoleToken", "ssm:UpdateManagedInstancePublicKey",
        ]
        Resource = [
          "arn:${local.partition}:ssm:${local.region}:${local.account}:managed-instance/*",
          "arn:${local.partition}:ssm:${local.region}:${local.account}:association/*",
          "arn:${local.partition}:ssm:${local.region}::document/AWS-RunShellScript",
        ]
      },
      {
        # AWS has no narrower resource for channels.
        Sid      = "Channels"
        Effect   = "Allow"
        Action   = ["ssmmessages:CreateControlChannel", "ssmmessages:OpenControlChannel"]
        Resource = ["*"]
      },
    ],
  )

  register = templatefile("${path.module}/register.sh.tftpl", {
    region     = local.region
    activation = local.is_made ? { id = aws_ssm_activation.this[0].id, code = aws_ssm_activation.this[0].activation_code } : null
  })
  setup_file    = { path = "/usr/local/sbin/lvsfleet-setup", permissions = "0755", content = module.setup.script }
  register_file = { path = "/usr/local/sbin/lvsfleet-register", permissions = "0700", content = local.register }
  # Registering needs the agent of Systems Manager, which the setup may install; enrolling needs the registration.
  cloud_config = "#cloud-config\n${yamlencode({
    write_files = local.is_ssm ? [local.setup_file, local.register_file] : [local.setup_file]
    runcmd = local.is_ssm ? [
      ["/usr/local/sbin/lvsfleet-setup"], ["/usr/local/sbin/lvsfleet-register"],
    ] : [["/usr/local/sbin/lvsfleet-setup"]]
  })}"
}

module "setup" {
  source            = "../host-setup"
  role              = "director"
  api_url           = var.api_url
  package           = var.package
  ssm_agent_package = local.is_ssm ? var.ssm_agent_package : null
  join              = local.ways_in[var.way_in]
  token_parameter   = var.token_parameter
  host_name         = var.host_name
  addresses         = var.addresses
  region            = local.is_ssm ? local.region : null
  settings          = merge(local.is_ssm ? { AWS_SHARED_CREDENTIALS_FILE = "/run/lvsfleet-aws-credentials" } : {}, var.settings)
}

resource "aws_iam_role" "this" {
  count = local.is_ssm ? 1 : 0
  name  = var.name
  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Action    = "sts:AssumeRole"
      Principal = { Service = "ssm.amazonaws.com" }
      Condition = {
        StringEquals = { "aws:SourceAccount" = local.account }
        ArnLike      = { "aws:SourceArn" = "arn:${local.partition}:ssm:${local.region}:${local.account}:*" }
      }
    }]
  })
}

resource "aws_iam_role_policy" "this" {
  count  = local.is_ssm ? 1 : 0
  name   = "own"
  role   = aws_iam_role.this[0].id
  policy = jsonencode({ Version = "2012-10-17", Statement = local.statements })
}

resource "aws_ssm_activation" "this" {
  count              = local.is_made ? 1 : 0
  name               = var.name
  description        = "Directors of ${var.name}"
  iam_role           = aws_iam_role.this[0].id
  registration_limit = var.machines
  expiration_date    = local.expires
  depends_on         = [aws_iam_role_policy.this]

  lifecycle {
    # It counts once; a later plan must not make another one because time went on.
    ignore_changes = [expiration_date]
  }
}
