output "connection" {
  description = "What the module api-lambda takes as its database."
  value = {
    host               = aws_rds_cluster.this.endpoint
    port               = local.port
    name               = local.database
    user               = local.user
    password_parameter = aws_ssm_parameter.password.name
    security_group_id  = aws_security_group.this.id
    resource_id        = aws_rds_cluster.this.cluster_resource_id
  }
}
