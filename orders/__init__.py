"""From intent to position. The stages in order:

intake -> (risk) -> executor -> submission -> events -> ledger; doubt goes to resolver and dead_letters.
"""
