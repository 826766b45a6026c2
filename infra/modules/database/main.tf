# Aurora Serverless v2 with PostgreSQL, reachable from nowhere until a module of a client adds a rule for itself.

locals {
  database = "lvsfleet"
  user     = "lvsfleet"
  port     = 5432
}

ephemeral "aws_secretsmanager_random_password" "master" {
  password_length     = 40
  exclude_punctuation = true
}

# The functions read the password here, at each new connection.
resource "aws_ssm_parameter" "password" {
  name             = "/${var.name}/database-password"
  description      = "Master password of ${var.name}'s database"
  type             = "SecureString"
  value_wo         = ephemeral.aws_secretsmanager_random_password.master.random_password
  value_wo_version = var.password_version
}

resource "aws_db_subnet_group" "this" {
  name       = var.name
  subnet_ids = var.subnet_ids
}

resource "aws_security_group" "this" {
  name        = "${var.name}-database"
  description = "Who may reach the database of ${var.name}"
  vpc_id      = var.vpc_id
}

resource "aws_rds_cluster_parameter_group" "this" {
  name   = var.name
  family = "aurora-postgresql16"
  parameter {
    name  = "rds.force_ssl"
    value = "1"
  }
}

resource "aws_rds_cluster" "this" {
  cluster_identifier                  = var.name
  engine                              = "aurora-postgresql"
  engine_version                      = "16.6"
  database_name                       = local.database
  port                                = local.port
  master_username                     = local.user
  master_password_wo                  = ephemeral.aws_secretsmanager_random_password.master.random_password
  master_password_wo_version          = var.password_version
  db_subnet_group_name                = aws_db_subnet_group.this.name
  db_cluster_parameter_group_name     = aws_rds_cluster_parameter_group.this.name
  vpc_security_group_ids              = [aws_security_group.this.id]
  storage_encrypted                   = true
  iam_database_authentication_enabled = true
  backup_retention_period             = var.backup_days
  copy_tags_to_snapshot               = true
  deletion_protection                 = var.deletion_protection
  final_snapshot_identifier           = "${var.name}-final"
  enabled_cloudwatch_logs_exports     = ["postgresql"]

  serverlessv2_scaling_configuration {
    min_capacity = var.capacity.min
    max_capacity = var.capacity.max
  }
}

resource "aws_rds_cluster_instance" "this" {
  count                = var.instances
  identifier           = "${var.name}-${count.index}"
  cluster_identifier   = aws_rds_cluster.this.id
  engine               = aws_rds_cluster.this.engine
  engine_version       = aws_rds_cluster.this.engine_version
  instance_class       = "db.serverless"
  db_subnet_group_name = aws_db_subnet_group.this.name
  publicly_accessible  = false
}
