# What the hosts may do in AWS: read their package and their token, and talk to Systems Manager. Proving who they are
# (sts:GetCallerIdentity) needs no right.

locals {
  channels = ["ssmmessages:CreateControlChannel", "ssmmessages:OpenControlChannel"]
  sessions = ["ssmmessages:CreateDataChannel", "ssmmessages:OpenDataChannel"]
  hosts    = "arn:${local.partition}:ec2:${local.region}:${local.account}:instance/*"

  # AWS's own policy for this (AmazonSSMManagedInstanceCore) lets a host read every parameter, the database's password too.
  managed = var.ssm == null ? [] : [
    {
      Sid    = "BeManaged"
      Effect = "Allow"
      Action = [
        "ssm:UpdateInstanceInformation", "ssm:ListInstanceAssociations", "ssm:UpdateInstanceAssociationStatus",
        "ssm:DescribeAssociation", "ssm:ListAssociations", "ssm:GetDocument", "ssm:DescribeDocument",
      ]
      Resource = [
        local.hosts,
        "arn:${local.partition}:ssm:${local.region}:${local.account}:association/*",
        "arn:${local.partition}:ssm:${local.region}::document/AWS-RunShellScript",
      ]
    },
    {
      # AWS has no narrower resource for channels.
      Sid      = "Channels"
      Effect   = "Allow"
      Action   = concat(local.channels, try(var.ssm.session_manager, false) ? local.sessions : [])
      Resource = ["*"]
    },
  ]

  statements = concat(
    [for objects in [local.objects] : {
      Sid      = "FetchPackage"
      Effect   = "Allow"
      Action   = ["s3:GetObject"]
      Resource = objects
    } if length(objects) > 0],
    [for name in [var.setup.token_parameter] : {
      Sid      = "ReadToken"
      Effect   = "Allow"
      Action   = ["ssm:GetParameter"]
      Resource = ["arn:${local.partition}:ssm:${local.region}:${local.account}:parameter${name}"]
    } if name != null],
    local.managed,
  )
}

# The session's name says which instance it is, so nobody else may assume this role and choose one.
resource "aws_iam_role" "this" {
  name = var.name
  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Action    = "sts:AssumeRole"
      Principal = { Service = "ec2.amazonaws.com" }
    }]
  })
}

resource "aws_iam_role_policy" "this" {
  count  = length(local.statements) > 0 ? 1 : 0
  name   = "own"
  role   = aws_iam_role.this.id
  policy = jsonencode({ Version = "2012-10-17", Statement = local.statements })
}

resource "aws_iam_instance_profile" "this" {
  name = var.name
  role = aws_iam_role.this.name
}
