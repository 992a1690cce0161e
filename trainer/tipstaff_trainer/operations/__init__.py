"""What users ask for, one module an operation: a request, and the function that runs it."""
