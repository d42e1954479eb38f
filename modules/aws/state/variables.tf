variable "name" {
  description = "Name of the unit, from which the key's alias is made."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?$", var.name))
    error_message = "The name must be 1 to 40 lower-case letters, digits and hyphens, and begin and end with a letter or digit."
  }
}

variable "region" {
  description = "Region of the bucket, which is the provider's."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[a-z]{2,4}(-[a-z]+)+-[0-9]$", var.region))
    error_message = "The region must be one of AWS, such as eu-west-1."
  }
}

variable "protected" {
  description = "Keeps the bucket from being destroyed while something is in it, and gives a deleted key 30 days to come back instead of 7."
  type        = bool
  default     = true
  nullable    = false
}

variable "bucket" {
  description = "Name of the bucket, as in the environment's state block."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$", var.bucket)) && !strcontains(var.bucket, "..")
    error_message = "The bucket must be 3 to 63 lower-case letters, digits, dots and hyphens, without two dots in a row."
  }
}
