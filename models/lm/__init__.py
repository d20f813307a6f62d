"""Estimation of n-gram language models: text in, ARPA and the compact file out."""
