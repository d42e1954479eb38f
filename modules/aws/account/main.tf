# An AWS account of the organization for one environment, below an organizational
# unit, with guard rails that only deny, a monthly budget that warns at 80 and 100
# percent, and the role that Strata deploys with.
#
# It runs in the organization's management account, which alone may make accounts.
# AWS closes an account that is destroyed, and deletes it after 90 days.

data "aws_partition" "current" {}

locals {
  name = "${var.platform}-${var.environment}"

  # Organizations makes this role with the account; it trusts the management
  # account alone.
  deployer = "strata-deployer"
}

resource "aws_organizations_account" "this" {
  name              = var.name
  email             = var.email
  parent_id         = var.parent
  role_name         = local.deployer
  close_on_deletion = !var.protected

  tags = { Name = local.name }

  lifecycle {
    # AWS never tells it again: without this, importing an account would plan to
    # replace it.
    ignore_changes = [role_name]
  }
}

# The bill arrives in the management account, so the budget does too.
resource "aws_budgets_budget" "this" {
  count = var.budget == null ? 0 : 1

  name         = local.name
  budget_type  = "COST"
  time_unit    = "MONTHLY"
  limit_amount = tostring(var.budget)
  limit_unit   = "USD"

  cost_filter {
    name   = "LinkedAccount"
    values = [aws_organizations_account.this.id]
  }

  dynamic "notification" {
    for_each = [80, 100]

    content {
      notification_type          = "ACTUAL"
      comparison_operator        = "GREATER_THAN"
      threshold                  = notification.value
      threshold_type             = "PERCENTAGE"
      subscriber_email_addresses = [var.email]
    }
  }
}
