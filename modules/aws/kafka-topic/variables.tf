variable "name" {
  description = "Name of the unit, and the beginning of the names of what is in it."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{0,98}[a-z0-9]$", var.name))
    error_message = "The name must be 2 to 100 lower-case letters, digits and hyphens, and begin with a letter."
  }
}

variable "protected" {
  description = "Deletion protection; what is left behind when that is off is deleted too."
  type        = bool
  default     = true
  nullable    = false
}

variable "cluster_arn" {
  description = "ARN of the MSK cluster."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^arn:aws[a-z-]*:kafka:[a-z0-9-]+:[0-9]{12}:cluster/.+$", var.cluster_arn))
    error_message = "The cluster must be the ARN of an MSK cluster."
  }
}

variable "bootstrap_servers" {
  description = "Brokers to start from, as host:port joined by commas."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[A-Za-z0-9.-]+:[0-9]+(,[A-Za-z0-9.-]+:[0-9]+)*$", var.bootstrap_servers))
    error_message = "The brokers must be host:port, joined by commas."
  }
}

variable "kms_key" {
  description = "ARN of the key that encrypts the secret. MSK takes no secret that AWS's own key encrypts."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^arn:aws[a-z-]*:kms:[a-z0-9-]+:[0-9]{12}:key/.+$", var.kms_key))
    error_message = "The key must be the ARN of a KMS key, not of an alias."
  }
}

variable "secret_path" {
  description = "Path below which the unit's secrets are kept in Secrets Manager. Its slashes become underscores, because MSK prescribes how the name begins."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[A-Za-z0-9/_.-]{1,400}$", var.secret_path))
    error_message = "The path must be letters, digits and / _ . -, at most 400."
  }
}

variable "partitions" {
  description = "Number of partitions, the most consumers that can share the work. May grow later, never shrink."
  type        = number
  default     = 6
  nullable    = false

  validation {
    condition     = var.partitions >= 1 && var.partitions <= 1000 && floor(var.partitions) == var.partitions
    error_message = "A topic has 1 to 1000 partitions."
  }
}

variable "replication" {
  description = "Number of brokers that hold a copy, at most as many as there are."
  type        = number
  default     = 3
  nullable    = false

  validation {
    condition     = var.replication >= 1 && var.replication <= 5 && floor(var.replication) == var.replication
    error_message = "1 to 5 brokers hold a copy."
  }
}

variable "retention" {
  description = "Hours that messages are kept. 0 keeps them for ever."
  type        = number
  default     = 168
  nullable    = false

  validation {
    condition     = var.retention >= 0 && var.retention <= 87600 && floor(var.retention) == var.retention
    error_message = "Messages are kept for 0 to 87600 hours."
  }
}

variable "compact" {
  description = "Keeps the latest message of every key instead of deleting by age."
  type        = bool
  default     = false
  nullable    = false
}
