"""Labels by an LLM judge: criteria, prompts, endpoints, and the ledger of replies."""
