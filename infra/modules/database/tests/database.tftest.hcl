variables {
  name       = "lvsfleet-test"
  vpc_id     = "vpc-1"
  subnet_ids = ["subnet-a", "subnet-b"]
}

run "is_private_and_encrypted" {
  assert {
    condition     = aws_rds_cluster.this.storage_encrypted && aws_rds_cluster.this.deletion_protection
    error_message = "the cluster must be encrypted and protected"
  }
  assert {
    condition     = alltrue([for one in aws_rds_cluster_instance.this : one.publicly_accessible == false])
    error_message = "no instance may be public"
  }
  assert {
    condition     = aws_ssm_parameter.password.value_wo == null && aws_rds_cluster.this.master_password_wo == null
    error_message = "the password must not be in the state"
  }
  assert {
    condition     = output.connection.password_parameter == "/lvsfleet-test/database-password"
    error_message = "the output must name the parameter"
  }
}

run "refuses_one_subnet" {
  command = plan
  variables {
    subnet_ids = ["subnet-a"]
  }
  expect_failures = [var.subnet_ids]
}

run "refuses_a_name_that_aws_would" {
  command = plan
  variables {
    name = "Prod_1"
  }
  expect_failures = [var.name]
}

run "refuses_capacity_upside_down" {
  command = plan
  variables {
    capacity = { min = 4, max = 2 }
  }
  expect_failures = [var.capacity]
}
