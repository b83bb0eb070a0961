"""Faster ways to compute what torch's modules compute: equal up to rounding; dropout draws other masks, as likely."""
