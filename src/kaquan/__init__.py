"""kaquan 卡券: the open, self-hosted platform for prepaid shopping cards and vouchers."""
