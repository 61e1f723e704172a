"""What a forge keeps and who may change it: people, repositories, pull requests, reviews, rules, statuses, events."""
